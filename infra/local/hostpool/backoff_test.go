package hostpool

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPausesGrowAndAreShortAgainAfterAQuietTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &Backoff{Base: time.Second, Limit: 4 * time.Second, Quiet: time.Minute}
		for _, bound := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 4 * time.Second} {
			pause := b.next()
			require.GreaterOrEqual(t, pause, bound/2)
			require.Less(t, pause, bound)
			<-time.After(pause)
		}
		<-time.After(time.Minute + time.Second)
		require.Less(t, b.next(), time.Second)
	})
}

func TestTheZeroBackoffIsShort(t *testing.T) {
	t.Parallel()
	require.Less(t, new(Backoff).next(), 200*time.Millisecond)
}
