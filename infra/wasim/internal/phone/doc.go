// Package phone is the primary device of a simulated account: a real Signal identity with its sessions and prekeys, the
// messages it received, and those it sent and may be asked for again.
//
// Everything that changes goes into the caller's batch of the ledger along with what the change causes, so that a
// ratchet and the message that moved it are kept or lost together. Two locks divide a phone: one for its prekeys, which
// others fetch while they write to it, and one for the rest; no method takes locks of another phone.
package phone
