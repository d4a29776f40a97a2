// Package media is the servers that keep files: it takes encrypted files in, hands them out again by path, and knows how
// the phones encrypt and decrypt them. The servers themselves never see a plaintext.
package media
