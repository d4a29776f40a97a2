// Package feed makes messages of batches: it is behind the batches queue, whose jobs name a batch that has something to be
// done about, and behind the public bulk queue, whose messages are whole batches.
//
//	bulk ──▶ check, store ──▶ batches ──▶ chunk of recipients ──▶ rows of messages, queued     (one transaction for each chunk)
//	                             └──▶ of a canceled batch: queued ──▶ canceled, with its event (one transaction for each step)
//
// # Truth
//
// A recipient is either in a chunk or in messages. A crash at any point leaves the chunks that are not done, and the next job,
// which the sweeper sends if nobody else does, goes on with them. The id of a row's message is made of the batch and the
// row, so that nothing can be there twice. Jobs may be lost, late and doubled; two at the same batch take different chunks.
//
// Rows of every batch are written, also of one that is paused or canceled: claiming a message for sending asks for the
// state of its batch, so that a pause or a cancellation holds wherever its rows are. What is canceled is then told message by
// message, in bounded steps.
//
// # Load
//
// One chunk is in memory at a time. Rows go straight into the outbox, past the hand-over queue, on the lane that single sends
// overtake.
package feed
