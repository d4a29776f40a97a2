// Package journal keeps the last stanzas that crossed the server, in one order over all connections: the evidence that
// tests and fault checks rely on.
//
// It is a ring without a lock: a writer takes a number and puts its row into the slot of that number, so that ten
// thousand connections write side by side. The price is that a reader may find the newest slots not filled yet; it stops
// before the first such gap and finds the rest with its next call.
package journal
