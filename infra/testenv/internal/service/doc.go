// Package service starts the real servers that tests talk to, each for the length of one test run.
//
// Every server listens on a loopback port of its own, keeps nothing, and dies with this process. A server that the machine
// already has is never touched: at most its program is used. What the machine lacks is fetched through the package client
// that is there, into a cache folder of the user.
//
// To add a server, add a Kind to All and write its start function; launch does what they have in common.
package service
