// Package auth says who calls: API keys, what they are made of, whom they stand for and what they allow.
//
// A key is "wf_" and 256 random bits. Only its SHA-256 is stored; a random key of that size needs no slow hash. The
// company comes from the key and from nowhere else: an admin key, which belongs to no company, acts for any.
package auth
