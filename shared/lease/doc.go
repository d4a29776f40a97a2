// Package lease is the row protocol of shard ownership: one row of shard_lease for each shard, with the host that
// holds it, the random term of the tenure, and when it ends.
//
//	         Take, TakeExpired                     Renew
//	free ─────────────────────────▶ held ◀───────────────────┐
//	 ▲                               │ └─────────────────────┘
//	 │ Release, ReleaseAll           │ time to live passes
//	 └───────────────────────────────┤
//	                                 ▼
//	                              expired ── TakeExpired ──▶ held, by another term
//	                                 └───── Renew ─────▶ held, by the same term
//
// Invariants: a shard has one term at a time; every take makes a new term and raises the epoch by one; time is the
// database's alone. A renewal asks for the term only, so that a lease that ran out while the database was away is still
// its holder's until somebody else takes it.
//
// The row is also the fence of every write made under the lease (store.Fence): taking and releasing wait for the
// transactions that hold it, renewing does not.
//
// Who takes what and when, and how far a holder may trust a lease it cannot renew, is decided in hosts/internal/shard.
package lease
