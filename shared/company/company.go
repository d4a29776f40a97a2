package company

import (
	"errors"
	"hash/fnv"
	"regexp"
)

// ErrInvalidID says that a text cannot be a company id.
var ErrInvalidID = errors.New("companyId must be 1 to 50 letters, digits, underscores or hyphens")

var idPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,50}$`)

// CheckID returns ErrInvalidID unless id may name a company.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return ErrInvalidID
	}
	return nil
}

// Shard maps a company onto one of n shards. It must never change for an installation: the
// shard is stored with each company, and messages wait in the shard's queue.
func Shard(id string, n int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // a hash's Write returns no error
	sum := h.Sum64()
	// The low bits of FNV-1a mix poorly for short ids that differ in the last character only.
	sum ^= sum >> 32
	return int(sum % uint64(n)) //nolint:gosec // n is a small positive number
}
