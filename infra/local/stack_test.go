package local

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLastStartedEndsFirst(t *testing.T) {
	t.Parallel()
	s := stack{log: slog.New(slog.DiscardHandler)}
	var ended []string
	note := func(name string, err error) func(context.Context) error {
		return func(context.Context) error { ended = append(ended, name); return err }
	}
	broken := errors.New("broken")
	s.push("database", note("database", nil))
	s.push("queue", note("queue", broken))
	s.push("api", note("api", nil))

	err := s.unwind(t.Context())
	require.ErrorIs(t, err, broken)
	require.EqualError(t, err, "stop queue: broken")
	require.Equal(t, []string{"api", "queue", "database"}, ended, "one that fails does not keep the others")

	require.NoError(t, s.unwind(t.Context()))
	require.Len(t, ended, 3, "unwinding twice")
}
