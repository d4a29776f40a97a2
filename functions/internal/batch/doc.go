// Package batch takes in batches: one template and many recipients, from the API or from the bulk queue, checked row by row
// and stored so that package feed can make messages of them.
//
// What is wrong with a batch as a whole is a problem of the catalogue, and nothing is stored. What is wrong with a row is
// reported under the row's number, counted from 1, and the other rows go on. Both ways in share everything here: the same
// checks, the same limits, and the same idempotency, which Postgres decides by the company and the key.
package batch
