package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/pgtest"
)

func TestInTx(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.MaxConns(1)) // whatever keeps the connection makes the next statement wait
	insert := func(tx pgx.Tx, source string) {
		_, err := tx.Exec(t.Context(), `INSERT INTO quarantine (company_id, source, reason) VALUES ($1, $2, '')`, company, source)
		require.NoError(t, err)
	}
	there := func(source string) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var exists bool
		require.NoError(t, f.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM quarantine WHERE source = $1)`, source).Scan(&exists))
		return exists
	}

	t.Run("commits", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, f.InTx(t.Context(), func(tx pgx.Tx) error {
			insert(tx, "committed")
			return nil
		}))
		require.True(t, there("committed"))
	})
	t.Run("rolls back and returns the error", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("broken")
		require.Equal(t, broken, f.InTx(t.Context(), func(tx pgx.Tx) error {
			insert(tx, "refused")
			return broken
		}), "as it is, nothing has to be added")
		require.False(t, there("refused"))
	})
	t.Run("rolls back a panic", func(t *testing.T) {
		t.Parallel()
		require.PanicsWithValue(t, "handler bug", func() {
			_ = f.InTx(t.Context(), func(tx pgx.Tx) error {
				insert(tx, "panicked")
				panic("handler bug")
			})
		})
		require.False(t, there("panicked"))
	})
	t.Run("gives the connection back when the context ends", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		err := f.InTx(ctx, func(tx pgx.Tx) error {
			insert(tx, "abandoned")
			cancel()
			_, err := tx.Exec(ctx, `SELECT 1`)
			return err
		})
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, there("abandoned"))
	})
	t.Run("needs a connection", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := f.InTx(ctx, func(pgx.Tx) error { return errors.New("must not run") })
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("reports a commit that fails", func(t *testing.T) {
		t.Parallel()
		f.exec(t, `ALTER TABLE quarantine ADD UNIQUE (source) DEFERRABLE INITIALLY DEFERRED`)
		err := f.InTx(t.Context(), func(tx pgx.Tx) error {
			insert(tx, "twice")
			insert(tx, "twice")
			return nil
		})
		require.ErrorContains(t, err, "commit")
		requireViolation(t, err, "quarantine_source_key")
	})
}

// When a host starts, thousands of sessions change at once and no data key is in memory. With one connection, a
// transaction that needs a second one waits for ever.
func TestATransactionNeedsOneConnection(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.MaxConns(1))
	f.put(t, outgoing{id: "m", status: "sending"})
	f.put(t, outgoing{id: "stale", status: "sending"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for name, transaction := range map[string]func() error{
		"ChangeSession": func() error {
			c := change(session.Connecting)
			c.Event = "session.connecting"
			_, err := f.ChangeSession(ctx, f.fence, c)
			return err
		},
		"Move": func() error {
			_, err := f.Move(ctx, f.fence, store.Move{CompanyID: company, MessageID: "m", To: message.Sent})
			return err
		},
		"DoubtStale": func() error {
			_, err := f.DoubtStale(ctx, f.fence, company, attempt("").Incarnation)
			return err
		},
		"Receive": func() error {
			_, _, err := f.Receive(ctx, f.fence, arrival())
			return err
		},
		"Quarantine": func() error { return f.Quarantine(ctx, f.fence, company, "", "", nil) },
	} {
		f.vault.Forget(company)
		require.NoError(t, transaction(), name)
	}
}

// requireViolation wants an error of a database constraint whose name starts so.
func requireViolation(t *testing.T, err error, constraint string) {
	t.Helper()
	var pgErr *pgconn.PgError
	require.ErrorAs(t, err, &pgErr)
	require.True(t, strings.HasPrefix(pgErr.ConstraintName, constraint), "violated %q, not %q", pgErr.ConstraintName, constraint)
}
