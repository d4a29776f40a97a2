// Package fault decides what goes wrong, when and for whom. It knows nothing about how a fault is carried out.
//
// There are three families. Faults of a connection hit what is connected when they are armed, and otherwise the next
// connection; faults of a login refuse it; faults of behaviour change how stanzas or media are treated while they
// last. See [Kind] for the members and [Fault] for the limits.
//
// Asking whether a fault applies is free while none is armed: the message path asks all the time.
package fault
