// Package webhooktest plays a customer's server for tests: a real HTTP server on loopback that answers as told, keeps what
// it was sent, and lets a test wait for it.
package webhooktest
