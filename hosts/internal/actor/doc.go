// Package actor runs the sessions of a host: one actor per company, which owns its socket, its outbox and its inbox.
//
// # Overview
//
// A Fleet holds the actors of the shards that this host has a lease for. An Actor is one goroutine with a
// mailbox; everything that changes a session passes through it, one thing at a time:
//
//	desired state (Postgres) ─▶ reconcile ─┐
//	signals of the connection ─────────────┼─▶ actor ─▶ session row + event
//	timers (retry, pairing) ───────────────┘     │
//	                                             ├─▶ sender: outbox ─▶ Conn.Send ─▶ status + event
//	incoming messages, receipts ─▶ inbox ────────┴─▶ message row + event, then the ack to WhatsApp
//
// The connection is a port (Conn, Dialer): package wa implements it around whatsmeow. What each whatsmeow
// event means is a table over there, whose rows arrive here as Signals; the actor only carries them out.
//
// # Promises
//
//   - Every write carries the fence of the shard's lease. When it is lost the actor stops; another host
//     has the company by then.
//   - A frame is written only after its row says sending and holds what is sent. Whatever interrupts the
//     time between the frame and its ack leaves the row unconfirmed, and it is resent under the same id.
//   - An incoming message is acked to WhatsApp only after it is stored together with its event. What cannot
//     be stored for reasons of its own goes to quarantine and is acked; what cannot be stored because
//     Postgres is away is not acked, and comes again.
//   - Dials pass through the host's pacer, and wait a random time that grows with every failure.
package actor
