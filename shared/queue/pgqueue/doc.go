// Package pgqueue implements queue.Queue on Postgres tables, for installations without a cloud account.
//
// # How a message is claimed
//
// Every call is one round trip and one transaction: a function of the migration that first locks rows and then looks at
// what it has locked. Standard queues are the usual FOR UPDATE SKIP LOCKED over due rows. On FIFO queues the group is
// claimed, not the message: a table holds one row for each group that has messages, with the time from which nothing of it is
// in flight. Receivers take the groups that have been free for longest; a backlog of one group is one row in that line.
// Which lock on that row is for whom is written above the table in the migration.
//
// All times are the database's, so clocks of hosts do not matter.
//
// # How a receiver is woken
//
// A Receive that finds nothing asks for an announcement, looks once more, and waits. The next send announces the queue
// with NOTIFY, in the transaction of its insert, and takes the question back; so a receiver that is kept busy is not
// announced anything, which matters because Postgres serialises commits that NOTIFY. One connection per process listens and
// wakes one waiting Receive of that queue; a Receive that got something, or that leaves without having looked, passes
// the wake-up on. What nobody announces (visibility that ends, delays that pass, announcements that were lost while the
// listening connection was down) is found by one statement a second for all waiting queues together, and none if nobody
// waits. So hints decide how fast a message arrives, never whether it does.
//
// # What cancellation does
//
// The claim itself runs detached from the caller's context, with a deadline of its own: a cancelled Receive either had not
// claimed yet, or returns what it claimed.
//
// # What a crash of the server does
//
// Sends and hand-backs are on disk when the call returns. Claims and deletes follow within a second: a crash before that
// delivers the message once more.
//
// # Limits
//
// A transaction that stays open for long anywhere in the database keeps dead rows from being cleaned up, which slows
// receives down.
package pgqueue
