// Package ledger makes the simulator's state survive: a key-value file to which everything is written before anybody is
// told that it happened.
//
// The state itself lives in memory; the ledger is only read at the start. Changes are handed over as a [Batch], which is
// kept or lost as a whole. [Ledger.Append] fixes the order (call it under the lock that guards the state) and
// [Pending.Wait] returns once the batch is written (call it without the lock). Batches that wait at the same time are
// written together, so that thousands of messages a second share a few hundred commits.
//
// Written means handed to the operating system: a killed process loses nothing that was waited for, and never finds half
// a batch. The disk is only waited for at the end, because a simulator has no reason to do so with every message; the
// price is that a crash of the whole machine may damage the file.
//
// A ledger without a file keeps nothing and never waits.
package ledger
