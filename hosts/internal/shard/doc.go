// Package shard keeps the leases of one host: which shards are mine, and may I still trust that.
//
// # Overview
//
// Companies hash onto a fixed number of shards, and each shard is served by at most one host. A Keeper is the part of a
// host that gets it its share of them and keeps it. Once a second, and whenever somebody says that something has changed
// (Hurry), it gives a sign of life and renews all its leases in one statement, then looks at the others: what is missing to
// its share, ⌈shards / hosts⌉ of the hosts that are alive and not draining, it takes in one statement. Shards that nobody
// holds it takes at once, those of a host whose process has ended (Bury) as well, late ones with care.
//
// The Keeper only decides about leases. What it decides, it tells its owner as a sequence of events: Gained, on which
// the owner starts the shard's sessions; Lost, on which it drops them at once; Surplus, on which it closes them in
// peace and then calls Release.
//
// # Handing over
//
//	holder                             row                      successor
//	Aim ──────────────────────────▶ target = successor
//	Surplus: the owner closes
//	Release ──────────────────────▶ free, kept for it ────────▶ is told, takes it: Gained
//	                                                            the owner connects the sessions
//	is told, asks for the next one ◀── target = none ◀───────── Settle
//
// A host with more than its share gives one shard after the other to the host that serves the fewest. A draining host
// gives all of them away like that, a few at a time, so that it goes as fast as its successors can connect: those whose
// companies have messages to send first, and last, when time runs out, those with a company in the middle of pairing, which
// are never moved for balance. Nobody waits for a tick: whoever may do the next step is told by Postgres (lease.Listen).
//
// # The gate
//
// Every term has a Gate. Whoever is about to write outside of the database for the shard, to a socket above all, passes it
// first: it is open while the shard is trusted, makes writes wait while it is in doubt, and is closed for ever, with all
// sockets behind it, as soon as the term is lost or released, however busy the owner is.
//
// # States of a shard, as its host sees it
//
//	            Gained                 renewal fails
//	not mine ───────────▶ trusted ──────────────────────▶ in doubt
//	  ▲  ▲                 │  ▲                              │ │
//	  │  │   Release, Stop │  └──────────────────────────────┘ │
//	  │  └─────────────────┘           renewal succeeds        │
//	  └────────────────────────────────────────────────────────┘
//	                        Lost: renewal denied
//
// A shard is in doubt from TTL − Margin after the start of its last successful renewal. Then its gate makes writes wait. It
// is not lost: only the database can say that, by denying a renewal because the
// term is no longer in the row.
//
// # Invariants
//
//   - At most one host can write for a shard. That is not the Keeper's doing but the fence's (store.Fence): the Keeper
//     may be late, paused or wrong, and no harm is done.
//   - Every Gained is of a new term, and is followed by at most one Lost of that term. Events come in the order in which
//     things happened.
//   - The Keeper never waits for its owner. The channel of events has room for a Lost of everything held at all times;
//     nothing is taken when there is no room for that.
//   - Placement is sticky: a lease is given up for balance only by a host with more than its share, and one after the other.
//
// # Failures
//
//   - The database is away: renewals fail, nothing is lost, sockets stay open, writes wait. The Keeper tries again every
//     quarter of an interval. When the database is back, every lease is late; hosts renew theirs at once, while a
//     take-over needs an unbroken row of successful renewals over one TTL. So nobody wins by being first.
//   - This host stood still (a paused process): the gap breaks that row as well, and after its first renewal it knows
//     what it lost.
//   - Another host died: where that is noticed (package peer), its leases are taken over at once, else when they run out.
//     It counts as alive for just as long. If it was not dead, its next renewal is denied, and until then it can write
//     nothing to the database, and to its sockets what their gates let pass.
//   - A successor does not take what was handed to it: after two seconds anybody may.
//   - A take whose answer got lost: the lease runs out, because nobody knows its term.
//   - The owner does not drain its events: nothing more is taken, what is held is renewed.
package shard
