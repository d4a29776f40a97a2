// Package devicestore keeps the WhatsApp devices of the companies in Postgres: their keys, their Signal sessions and
// everything else that whatsmeow has to remember.
//
// # Overview
//
// A Store hands out devices: New for a company that is about to pair, Load for a paired one. Inside, whatsmeow's own
// sqlstore does the SQL, in a schema of its own; nothing of it shows outside of this package. What it hands out is
// wrapped, one file per store, because stock behaviour loses messages or costs too much in a fleet:
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
//   - Identities are cached, see identities.go. A cached answer equals what Postgres would have said.
//
// All of this holds while one process owns the device: the caches and the order of steps are in its memory. That is what
// the shard's lease is for. The stores do not check the lease's term themselves.
//
// # What stays as whatsmeow has it
//
// Sender keys need no order of steps: the own one is used under the lock that whatsmeow holds for a whole send, those of
// others in the one goroutine that handles nodes. The map from LIDs to phone numbers is one unbounded cache per process,
// with one lock over its round trips.
package devicestore
