// Package sweep finds what fell behind and puts it right: messages that never reached a queue or outlived their time,
// webhook deliveries and batches that are due and that no job speaks for, batches that are over and of which nobody said so, old
// secrets, the rest of companies that were deleted, and the tables of the months to come.
//
// Everything here repairs; nothing relies on it being quick. A sweep may run in any number of processes at once: rows are
// locked one at a time and checked again under the lock, and jobs that are sent twice are harmless. Each message is a
// transaction of its own together with its event, so that one that cannot be moved holds up no other.
package sweep
