package devicestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

func TestConnectionLost(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		lost bool
	}{
		"terminated":        {&pgconn.PgError{Code: "57P01"}, true},
		"starting up":       {&pgconn.PgError{Code: "57P03"}, true},
		"statement timeout": {&pgconn.PgError{Code: "57014"}, false},
		"no such table":     {&pgconn.PgError{Code: "42P01"}, false},
		"closed":            {fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), true},
		"no rows":           {pgx.ErrNoRows, false},
		"given up":          {context.Canceled, false},
		"too late":          {context.DeadlineExceeded, false},
		"something else":    {errors.New("something else"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.lost, connectionLost(fmt.Errorf("query: %w", tc.err)))
		})
	}
}

func TestAStatementIsTriedOnlySoOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, tries := time.Now(), 0
		err := retried(t.Context(), func() error { tries++; return io.ErrUnexpectedEOF })
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, maxTries, tries)
		require.InDelta(t, 1.26, time.Since(start).Seconds(), 0.65)

		ctx, cancel := context.WithCancel(t.Context())
		tries = 0
		err = retried(ctx, func() error { tries++; cancel(); return io.ErrUnexpectedEOF })
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Equal(t, 1, tries, "nobody waits any more")
	})
}

// Postgres has restarted, and every connection in the pool is dead: that is no reason to leave a message undelivered
// until the next connect, or to fail a send.
func TestDeadConnectionsInThePool(t *testing.T) {
	t.Parallel()
	alice, bob, p := acquainted(t)
	kill := func() {
		conn, err := pgx.Connect(t.Context(), p.database.Pool.Config().ConnString())
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	}
	incoming, err := encrypt(t.Context(), bob, alice, "from bob")
	require.NoError(t, err)
	kill()
	text, err := decrypt(t.Context(), alice, bob, incoming)
	require.NoError(t, err)
	require.Equal(t, "from bob", text)
	kill()
	mustSend(t, alice, bob, "from alice")
}

// The answer to a write was lost: done again, it finds what it has stored itself.
func TestAWriteWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	device := pair(t, p, testJID, testLID)
	put := func() error {
		return device.EventBuffer.PutBufferedEvent(t.Context(), [32]byte{1}, []byte("text"), serverTime)
	}
	require.NoError(t, put())
	err := put()
	require.Error(t, err, "somebody else's")
	require.True(t, isStored(err))
	require.False(t, connectionLost(err))
}
