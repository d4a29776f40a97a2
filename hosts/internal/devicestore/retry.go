package devicestore

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// maxTries and tryPause bound how long a statement is tried again: about a second. pgxpool looks at a connection
	// before it hands it out only if it was idle for a second, so the first ones after a restart of Postgres are dead.
	maxTries = 4
	tryPause = 60 * time.Millisecond
	// uniqueViolation is Postgres' code for it.
	uniqueViolation = "23505"
)

// retried runs a statement, and again if its connection was lost. A message that could not be decrypted waits for the
// next connect to WhatsApp, which may be days away: too long for a connection that had died in the pool. A statement
// whose answer was lost may have been carried out; all of them bear that.
func retried(ctx context.Context, statement func() error) error {
	for try, pause := 1, tryPause; ; try, pause = try+1, 4*pause {
		err := statement()
		if err == nil || try == maxTries || !connectionLost(err) {
			return err
		}
		timer := time.NewTimer(pause/2 + rand.N(pause)) //nolint:gosec // jitter
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// connectionLost tells what is wrong with a connection from what is wrong with a statement.
func connectionLost(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if told, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(told.Code, "57P0") || strings.HasPrefix(told.Code, "08")
	}
	_, network := errors.AsType[net.Error](err)
	return network || pgconn.SafeToRetry(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// isStored says that a statement failed because the buffered event is there already.
func isStored(err error) bool {
	told, ok := errors.AsType[*pgconn.PgError](err)
	return ok && told.Code == uniqueViolation && told.TableName == eventsTable
}
