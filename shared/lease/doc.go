// Package lease is the row protocol of shard ownership: one row of shard_lease for each shard, with the host that
// holds it, the random term of the tenure, and when it ends.
//
//	                Take                             Renew
//	free ─────────────────────────▶ held ◀───────────────────┐
//	 ▲                               │ └─────────────────────┘
//	 │ Release, ReleaseAll           │ time to live passes, or the holder's process ends
//	 └───────────────────────────────┤
//	                                 ▼
//	                           late or orphaned ── Take ──▶ held, by another term
//	                                 └────────── Renew ─────▶ held, by the same term
//
// A shard is handed over in three steps: its holder aims it at another host and releases it, that host takes it, and
// settles it when its sessions are online there. Until it is settled the row names the target, so that whoever hands over
// many of them can see how many are on their way.
//
// Invariants: a shard has one term at a time; every take makes a new term and raises the epoch by one; time is the
// database's alone. A renewal asks for the term only, so that a lease that ran out while the database was away is still
// its holder's until somebody else takes it.
//
// The row is also the fence of every write made under the lease (store.Fence): releasing waits for the transactions that
// hold it, taking leaves the shard for the next time, renewing does neither.
//
// Who takes what and when, and how far a holder may trust a lease it cannot renew, is decided in hosts/internal/shard.
package lease
