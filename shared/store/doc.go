// Package store is every transaction that functions and hosts make on Postgres.
//
// The SQL lives in queries/ and is compiled by sqlc into db/; this package composes those statements into
// the transactions of the design and names their outcomes. Two rules hold throughout: time is the
// database's, and a write made under a shard's lease locks the lease row and checks its term (see Fence).
//
// # The end of a company
//
// DeleteCompany takes away at once what makes a company one: its session, its data key, its API keys, its endpoints, its
// counter of events. From then on every statement finds nobody, and what is sealed can be opened by none. The rows that
// are left may be millions; the sweeper deletes them in pages and the company's own row last. That row keeps the id taken
// for some minutes, because processes trust API keys and data keys in memory for up to one, and nothing of the old
// company may be taken for the new one's.
package store
