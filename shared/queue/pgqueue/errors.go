package pgqueue

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"wafleet/shared/queue"
)

// classify says what was being done, and marks as ErrUnavailable what a later attempt may get through: everything but
// the end of the caller's own context and what Postgres holds against the statement itself.
func classify(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w: %w", doing, ctx.Err(), err)
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && !passes(refused.Code) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return fmt.Errorf("%s: %w: %w", doing, queue.ErrUnavailable, err)
}

// passes reports whether the condition behind a SQLSTATE passes by itself.
func passes(code string) bool {
	for _, class := range []string{
		"08",    // the connection broke
		"40",    // deadlock and the like
		"53",    // no connections, memory or disk left
		"55P03", // a lock was not available
		"57",    // the server shuts down, or an operator or a timeout cancelled us
		"25006", // read-only: a replica, until the failover is through
	} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}
