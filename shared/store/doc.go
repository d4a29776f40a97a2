// Package store is every transaction that functions and hosts make on Postgres.
//
// The SQL lives in queries/ and is compiled by sqlc into db/; this package composes those statements into
// the transactions of the design and names their outcomes. Two rules hold throughout: time is the
// database's, and a write made under a shard's lease locks the lease row and checks its term (see Fence).
package store
