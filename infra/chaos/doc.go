// Chaos does to a running fleet what happens to fleets, and counts what it cost: hosts that are killed, that drain, that
// stand still beyond their leases, a Postgres that is away, sockets that drop all at once. Meanwhile companies send, and
// their customers write to them.
//
// Every part of the system is a process of its own (package rig). What happened is read from outside: from the journal of
// the simulator, which has every frame of every socket, from the phones, and from the tables of messages and leases. What
// must never happen makes the program fail (figures.go, Broken): an accepted message that is lost or sent twice, an order
// that is not kept, an incoming message that is lost, a host that goes on writing after its successor has logged in. How
// long things took is compared with the targets and reported.
//
// The last line is one JSON document, before it a table for people. The seed is in both: it decides who is hit.
package main
