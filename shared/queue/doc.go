// Package queue is the one port between the control plane and the connection hosts: durable queues that hand messages
// over at least once. pgqueue implements it on a Postgres table, sqsqueue on Amazon SQS; queuetest holds both to the
// promises below.
//
// # The life of a message
//
// Send returns nil once the message is durable. Receive claims up to ten messages: a claimed message is in flight, which
// hides it from other receivers until its visibility ends. Delete within that time is the acknowledgement; Extend moves
// the end, and to zero hands the message back. Without either the message is delivered again, so a consumer must
// be idempotent. A message that was received as often as its queue allows and is still there moves to the queue's
// dead-letter queue instead of being received once more.
//
//	Send ──▶ waiting ──Receive──▶ in flight ──Delete──▶ gone
//	            ▲                     │
//	            └── visibility ends ──┘──▶ dead-letter queue, after Definition.MaxReceives
//
// # FIFO queues
//
// Order and exclusion hold per group. Of two sends to a group that do not overlap, the first is received first. While any
// message of a group is in flight the group is locked: nobody receives from it, except that one Receive may return
// several of its messages, in order. A group that is handed back or whose visibility ends starts again at its oldest
// message. Groups do not wait for each other, however long their backlogs are.
//
// DedupID makes a retried Send harmless: within [DedupWindow] a second message with the same id in the same group is
// accepted and dropped, whatever its body and whether or not the first is still in the queue.
//
// # Standard queues
//
// Standard queues promise neither order nor deduplication, but can delay a message. A Group on them is carried along; on SQS it
// keeps one noisy group from starving the others.
//
// # Handles
//
// A handle speaks for one delivery of one message. When the message is delivered again, or moves to the dead-letter queue,
// the old handle is stale: Delete and Extend report [ErrReceiptExpired] for it and leave the newer delivery alone. On a
// FIFO queue it is stale from the moment its visibility ends. For a standard queue SQS does not promise this: it may
// report success, with the message deleted or not. Deleting a message that is gone succeeds.
//
// # Cancellation
//
// Receive never loses what it claimed: when its context ends it returns either the messages or the context's error, and
// in the second case nothing stays claimed for it. A Send that was cancelled may or may not have happened; on a FIFO queue the
// same DedupID makes it safe to repeat.
package queue
