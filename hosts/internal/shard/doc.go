// Package shard keeps the leases of one host: which shards are mine, and may I still trust that.
//
// # Overview
//
// Companies hash onto a fixed number of shards, and each shard is served by at most one host. A Keeper is the part of a
// host that gets it its share of them and keeps it. Once a second it gives a sign of life and renews all its leases in
// one statement, then looks at the others: shards that nobody holds it takes at once, shards whose holder is late it
// takes over with care. Both only up to its fair share, ⌈shards / hosts⌉ of the hosts that are alive and not draining.
//
// The Keeper only decides about leases. What it decides, it tells its owner as a sequence of events: Gained, on which
// the owner starts the shard's sessions; Lost, on which it drops them at once; Surplus, on which it closes them in
// peace and then calls Release.
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
// A shard is in doubt from TTL − Margin after the start of its last successful renewal. Then Trusted is false, and
// whoever is about to write waits. It is not lost: only the database can say that, by denying a renewal because the
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
//   - A lease that is held and not shed is never given up for balance: placement is sticky, and shards move one by one.
//
// # Failures
//
//   - The database is away: renewals fail, nothing is lost, sockets stay open, writes wait. The Keeper tries again every
//     quarter of an interval. When the database is back, every lease is late; hosts renew theirs at once, while a
//     take-over needs an unbroken row of successful renewals over one TTL. So nobody wins by being first.
//   - This host stood still (a paused process): the gap breaks that row as well, and after its first renewal it knows
//     what it lost.
//   - Another host died: its leases are taken over when they run out. It counts as alive for just as long.
//   - A take whose answer got lost: the lease runs out, because nobody knows its term.
//   - The owner does not drain its events: nothing more is taken, what is held is renewed.
package shard
