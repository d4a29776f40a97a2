package ratelimit_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/stretchr/testify/require"

	"wafleet/shared/ratelimit"
)

// Five codes at once, then one every twelve minutes; to look costs nothing and says the same.
func TestPairingBudget(t *testing.T) {
	t.Parallel()
	for name, client := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, phone := ratelimit.NewPairing(client, discard()), rand.Text()
			for range 5 {
				for range 3 {
					ok, wait := p.Check(t.Context(), phone)
					require.True(t, ok)
					require.Zero(t, wait)
				}
				ok, wait := p.Take(t.Context(), phone)
				require.True(t, ok)
				require.Zero(t, wait)
			}
			ok, wait := p.Take(t.Context(), phone)
			require.False(t, ok)
			require.InDelta(t, 12*time.Minute, wait, float64(10*time.Second))
			ok, wait = p.Check(t.Context(), phone)
			require.False(t, ok)
			require.InDelta(t, 12*time.Minute, wait, float64(10*time.Second))

			ok, _ = p.Take(t.Context(), rand.Text())
			require.True(t, ok, "another number has its own")
		})
	}
}

// Without Redis nobody is kept from pairing.
func TestPairingWithoutRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	p := ratelimit.NewPairing(connect(t, server.Addr()), discard())
	server.Close()
	for range 10 {
		ok, _ := p.Take(t.Context(), "79000000001")
		require.True(t, ok)
	}
	ok, _ := p.Check(t.Context(), "79000000001")
	require.True(t, ok)
}
