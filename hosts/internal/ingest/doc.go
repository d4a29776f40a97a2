// Package ingest moves accepted sends from the hand-over queue into the outbox, in order and exactly once.
//
// One receiver per shard takes up to ten messages, writes their bodies and the step accepted → queued in one
// statement, and only then deletes them from the queue. A crash in between redelivers them, and the step
// folds: it applies to rows that are still accepted (or failed for want of exactly this delivery). Nothing
// waits in the queue for a company that is offline; the outbox is the waiting room.
//
// Where the queue is in the hosts' own database (queue.Local) an accepted send is in the outbox already, and nothing is
// ingested (ADR 12).
package ingest
