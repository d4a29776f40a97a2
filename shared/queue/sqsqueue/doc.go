// Package sqsqueue implements queue.Queue on Amazon SQS, and on servers that speak its protocol.
//
// What the port leaves to the server is the server's: order, locks, deduplication, dead letters. This package
// adds what SQS does not do by itself:
//
//   - Arguments are checked before the call, so that a message is refused here exactly if it is refused on Postgres.
//   - A batch above 1 MiB, which SQS refuses as a whole, is split.
//   - A long poll that was cancelled is not hung up on. SQS may be answering it at that moment, and what it hands out then
//     stays invisible for a whole visibility timeout. The poll goes on in the background and hands back what it still
//     gets; Stop waits for it.
//
// Queues are made by the deployment template. Ensure makes them on servers that have none, for development and tests.
package sqsqueue
