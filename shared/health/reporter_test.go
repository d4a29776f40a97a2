package health_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/health"
)

// memory is a board that can be broken.
type memory struct {
	mu     sync.Mutex
	broken bool
	puts   int
	shown  map[string]health.Report
}

func (m *memory) Put(_ context.Context, r health.Report) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.puts++
	if m.broken {
		return errors.New("broken")
	}
	m.shown[r.HostID] = r
	return nil
}

func (m *memory) Withdraw(_ context.Context, hostID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errors.New("broken")
	}
	delete(m.shown, hostID)
	return nil
}

func (m *memory) Reports(context.Context) ([]health.Report, error) { return nil, nil }

// look is how often the board was asked, and what it shows.
func (m *memory) look() (puts int, shown map[string]health.Report) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts, maps.Clone(m.shown)
}

func (m *memory) set(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}

func TestReporter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		well, ill := &memory{shown: map[string]health.Report{}}, &memory{broken: true}
		var log bytes.Buffer
		measured := 0
		r := health.NewReporter(func(context.Context) health.Report {
			measured++
			return health.Report{HostID: "h", Sockets: measured}
		}, map[string]health.Board{"well": well, "ill": ill}, slog.New(slog.NewTextHandler(&log, nil)))

		require.NoError(t, r.Stop(t.Context()), "before the start")
		require.NoError(t, r.Start(t.Context()))
		require.Error(t, r.Start(t.Context()), "twice")
		synctest.Wait()
		_, shown := well.look()
		require.Equal(t, 1, shown["h"].Sockets, "at once")

		<-time.After(time.Minute)
		synctest.Wait()
		puts, _ := well.look()
		require.GreaterOrEqual(t, puts, 7)
		require.LessOrEqual(t, puts, 7+1, "every 10 s, or a little less")
		refused, _ := ill.look()
		require.Equal(t, puts, refused, "one that fails keeps no other from its report")
		require.NoError(t, r.Stop(t.Context()))
		require.Equal(t, 1, strings.Count(log.String(), "health.not_reported"), "a change is logged, not a state")
		puts, shown = well.look()
		require.Empty(t, shown, "taken down")
		<-time.After(time.Minute)
		later, _ := well.look()
		require.Equal(t, puts, later)
		require.NoError(t, r.Stop(t.Context()), "twice")
	})
}

func TestReporterReportsAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		board := &memory{broken: true, shown: map[string]health.Report{}}
		var log bytes.Buffer
		r := health.NewReporter(func(context.Context) health.Report { return health.Report{HostID: "h"} },
			map[string]health.Board{"b": board}, slog.New(slog.NewTextHandler(&log, nil)))
		r.Interval = time.Second
		require.NoError(t, r.Start(t.Context()))
		<-time.After(3 * time.Second)
		board.set(false)
		<-time.After(2 * time.Second)
		synctest.Wait()
		_, shown := board.look()
		require.Contains(t, shown, "h")
		require.NoError(t, r.Stop(t.Context()))
		require.Equal(t, 1, strings.Count(log.String(), "health.not_reported"))
		require.Equal(t, 1, strings.Count(log.String(), "health.reported_again"))
	})
}
