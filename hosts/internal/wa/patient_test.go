package wa

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"

	fleet "wafleet/shared/store"
)

// flaky is an event buffer whose database is away for a while.
type flaky struct {
	store.EventBuffer

	back  time.Time
	err   error // while it is away
	tries int
}

func (f *flaky) fails() error {
	f.tries++
	if time.Now().Before(f.back) {
		return f.err
	}
	return nil
}

func (f *flaky) GetBufferedEvent(context.Context, [32]byte) (*store.BufferedEvent, error) {
	if err := f.fails(); err != nil {
		return nil, err
	}
	return &store.BufferedEvent{Plaintext: []byte("known")}, nil
}

func (f *flaky) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	if err := decrypt(ctx); err != nil {
		return err
	}
	return f.fails()
}

// errAway is what devicestore returns when the database is to blame.
var errAway = fmt.Errorf("postpone: %w", context.Canceled)

func TestAMessageWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		device := &store.Device{}
		bePatient(device) // there is nothing yet
		require.Nil(t, device.EventBuffer)
		f := &flaky{back: time.Now().Add(30 * time.Second), err: errAway}
		device.EventBuffer = f
		bePatient(device)
		bePatient(device)

		start := time.Now()
		event, err := device.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{})
		require.NoError(t, err)
		require.Equal(t, "known", string(event.Plaintext))
		require.Less(t, time.Since(start), 32*time.Second)
		require.Less(t, f.tries, 50)

		f.back = time.Now().Add(30 * time.Second)
		decrypted := 0
		require.NoError(t, device.EventBuffer.DoDecryptionTxn(t.Context(), func(context.Context) error {
			decrypted++
			return nil
		}))
		require.Greater(t, decrypted, 10, "each attempt is a whole one")
	})
}

func TestPatienceHasItsLimits(t *testing.T) {
	t.Parallel()
	bad := errors.New("cannot be decrypted")
	for name, c := range map[string]struct {
		err  error
		life time.Duration // of the socket
		took time.Duration
	}{
		"a message that is bad":  {err: bad, life: time.Hour},
		"a lease that is lost":   {err: fmt.Errorf("%w: %w", errAway, fleet.ErrFenced), life: time.Hour},
		"a socket that ends":     {err: errAway, life: 10 * time.Second, took: 10 * time.Second},
		"a database that is off": {err: errAway, life: time.Hour, took: maxPatience},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.life)
				defer cancel()
				f, start := &flaky{back: time.Now().Add(24 * time.Hour), err: c.err}, time.Now()
				_, err := patient{f}.GetBufferedEvent(ctx, [32]byte{})
				require.ErrorIs(t, err, c.err)
				require.InDelta(t, c.took, time.Since(start), float64(2*lastRetry))
			})
		})
	}
}
