package actor

import (
	"math/rand/v2"
	"time"
)

// maxDelay is where the growth of a delay ends.
const maxDelay = 5 * time.Minute

// backoff is exponential with full jitter: uniform between nothing and a ceiling that doubles with every
// failure. Whatever made ten thousand sockets drop at once, they do not come back at once.
func backoff(base time.Duration, failures int) time.Duration {
	ceiling := maxDelay
	if shift := max(failures-1, 0); shift < 16 && base <= maxDelay>>shift { // beyond, base<<shift might overflow
		ceiling = base << shift
	}
	return rand.N(ceiling) + 1 //nolint:gosec // jitter, not a secret
}
