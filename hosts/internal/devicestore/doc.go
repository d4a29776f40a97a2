// Package devicestore keeps the WhatsApp devices of the companies in Postgres: their keys, their Signal sessions and
// everything else that whatsmeow has to remember.
//
// # Overview
//
// A Store hands out devices: New for a company that is about to pair, Load for a paired one, with Preload for a cold
// start. Each has an owner: a company, and the fence under which its host may write. One type, device, is all the stores
// that whatsmeow asks for, one file each; work.go and keep.go make of what one send or one decryption stores a single
// statement. It does by design what whatsmeow's own sqlstore does not, which loses messages or costs too much in a fleet:
//
//	lids.go        a cold cache lost the device part of a LID: companions got what only the phone could decrypt
//	sessions.go    the own device never had a session: every send fetched a key bundle of itself and burned a prekey
//	ratchets.go    an encryption and a decryption at the same time lost each other's step of a session (with work.go)
//	abort.go       a database error while encrypting skipped that device and reported success
//	events.go      a database error while decrypting cost the message; every client's start swept the whole fleet's buffer
//	identities.go  every message read and rewrote the identity of every recipient
//	prekeys.go     a pairing inserted 812 prekeys one by one
//	container.go   one 401 from WhatsApp destroyed the keys at once
//
// # Tables
//
// migrations/00003_devices.sql. What is secret is sealed with the company's data key, and bound to the table, the device
// and the row it belongs to. What does not open is missing, because Signal recovers from that: a session is made anew, a
// message encrypted again. Only the keys of the device itself are not: they are ErrUnreadableDevice.
//
// Every write checks the term of the shard's lease in its own statement, with a row lock (KEY SHARE, see
// migrations/00001_init.sql). If it is not held any more, nothing is written and the error is shared/store.ErrFenced.
//
// # Statements
//
// A send to known devices is two: all sessions with their identities, and all that is to be stored. So is a message from
// whoever sent the last one: the buffered event with the session that is likely to be needed, and all that the decryption
// stores; from another peer it is three. A login is one, or none after a Preload. A test counts them.
//
// # A device's life
//
//	New ──pairing: Save──▶ stored, tombstoned ──bind──▶ paired ──whatsmeow: DeleteDevice──▶ tombstoned ──30 days──▶ gone
//	                              │                       ▲ │                                  │
//	                              └─ bind failed: stays   │ └──────────── Delete ─────▶ gone   │
//	                                                      └────────────── Restore ─────────────┘
//
// A device is stored under a tombstone, which is lifted when the company's row knows its JID. So whatever interrupts a
// pairing leaves a device that Load does not return and CleanUp removes. whatsmeow deletes devices by itself when
// WhatsApp answers 401, 403 or 406; that sets a tombstone and touches no key, so that one bad day over there is not the
// end of thousands of pairings: Restore takes it back. Only Delete, an explicit wish, destroys at once.
//
// # Promises
//
//   - Under a context of WithAbort, an error of any store that encryption uses ends the send before its frame is
//     written: no device of the recipient is left out because of it. (whatsmeow still leaves out a device for which
//     WhatsApp has no key bundle.)
//   - A session's chain key is never used twice. Sessions are stored before SendMessage writes the frame, and nobody
//     stores a session that somebody else has stepped since it was read: a decryption starts over, a send fails with
//     ErrStale before its frame and may be tried again at once, the answer to a retry receipt makes others wait.
//   - A message that could not be decrypted because of the database is neither acked nor answered with a retry receipt.
//     It comes again after the next connect.
//   - The identity that a send or a decryption relies on was read with the session, and cannot have been deleted since: a
//     deletion makes whatever relies on it stale.
//   - The buffered plaintext of a message that was handled goes with the next write of its device. Until then it stays,
//     sealed; a message that comes again meanwhile is handled again only if the process has ended since.
//
// The order of steps is kept in memory. That is enough, because one process owns the device and the fence keeps others
// from writing; and only one device per JID is in use in it.
//
// # What needs nothing
//
// Sender keys need no order of steps: the own one is used under the lock that whatsmeow holds for a whole send, those of
// others in the one goroutine that handles nodes.
package devicestore
