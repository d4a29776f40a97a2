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
//   - A message that could not be decrypted is shown as a placeholder, whose id it keeps when it comes after all. What a
//     message refers to is named by the id that this company knows it by; only its author's edit changes a message.
//   - Files of messages are kept as references, and fetched when Postgres says that somebody wants them (received_media):
//     bounded in number, size and time, over a spool on disk, and checked before they are in the media store. What
//     WhatsApp has no more is asked for on its sender's phone.
//   - Dials pass through the host's pacer, and wait a random time that grows with every failure. After
//     Config.MaxReconnects of them a session has failed and is only probed; failures that all sessions of the host share
//     do not count.
//   - What was asked for is in the session's row until it is done, so that it outlives whoever was told. A deletion comes
//     before anything that was asked for after it.
//
// # What WhatsApp may say, and whom to believe
//
// A refusal concerns one session, or all of them at once; what all sessions share is decided once, in Postgres.
//
//	temporary ban       wait for its end (whatsapp_sessions.banned_until), whoever owns the session by then
//	stream replaced     the lease says that it is not one of our hosts: give way three times, then fail
//	client outdated     one host of the fleet fetches the version, all others wait for it (versions)
//	a ping unanswered   a second opinion, then a new socket: 55 s at the latest after the last sign of life
//	logged out          believed, unless too many are: see below
//
// WhatsApp's word that a device is gone costs a company its link, so the fleet does not take it from a WhatsApp that
// is having a bad day. More than five companies and more than a hundredth of the linked ones within a minute open the
// breaker (store.Refuse, one row). While it is open nobody is logged out: sessions keep their keys, wait as
// reconnecting(breaker_open), over a change of owners too, and those whose log-outs opened it come back as well, if their
// owner is still the one that believed them. One of them at a time tries to log in (Fleet.guard, try). The first that
// can closes the breaker; then all try, and the log-out of a session that still cannot is believed. If none can for a
// day, it was meant.
package actor
