package wa

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"go.mau.fi/whatsmeow/store"

	fleet "wafleet/shared/store"
)

const (
	// maxPatience is how long a message waits for the database before it is left to WhatsApp, which brings it again after
	// the next connect; that may be a day away.
	maxPatience = 90 * time.Second
	// firstRetry and lastRetry bound the pauses between attempts.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
)

// patient is an event buffer that waits for the database instead of giving a message up. Messages of a connection are
// handled one after the other, so that what comes after it waits as well; pings do not.
type patient struct{ store.EventBuffer }

// bePatient makes a device wait. It may be called again.
func bePatient(device *store.Device) {
	if _, already := device.EventBuffer.(patient); !already && device.EventBuffer != nil {
		device.EventBuffer = patient{device.EventBuffer}
	}
}

// GetBufferedEvent asks until the database answers.
func (p patient) GetBufferedEvent(ctx context.Context, ciphertextHash [32]byte) (event *store.BufferedEvent, err error) {
	err = patiently(ctx, func() error {
		event, err = p.EventBuffer.GetBufferedEvent(ctx, ciphertextHash)
		return err //nolint:wrapcheck // whatsmeow looks at what kind it is
	})
	return event, err //nolint:wrapcheck // the same
}

// DoDecryptionTxn decrypts anew until the result is stored.
func (p patient) DoDecryptionTxn(ctx context.Context, decrypt func(context.Context) error) error {
	return patiently(ctx, func() error { return p.EventBuffer.DoDecryptionTxn(ctx, decrypt) })
}

// patiently repeats what the database is to blame for: devicestore lets it pass for a cancelled context.
func patiently(ctx context.Context, do func() error) error {
	deadline := time.Now().Add(maxPatience)
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := do()
		if !errors.Is(err, context.Canceled) || errors.Is(err, fleet.ErrFenced) || ctx.Err() != nil || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // jitter
		}
	}
}
