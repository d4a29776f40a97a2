package load_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// system is an API that takes a time to accept, and phones that get everything some time later. It is used within
// bubbles, so that times are exact.
type system struct {
	takes, travels time.Duration
	stallUntil     time.Time // calls before are answered only then
	refuse         error

	mu       sync.Mutex // guards what follows
	calls    int
	inFlight int
	most     int
	inboxes  map[string][]remote.Message
	journal  []remote.Row
}

func (s *system) Send(_ context.Context, companyID, phone, text string) (string, error) {
	s.mu.Lock()
	s.calls++
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	id := fmt.Sprintf("%s-%d", companyID, s.calls)
	s.mu.Unlock()
	<-time.After(max(s.takes, time.Until(s.stallUntil)))
	if s.refuse != nil {
		return "", s.refuse
	}
	if text == "" {
		return "", errors.New("no text")
	}
	time.AfterFunc(s.travels, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inFlight--
		s.inboxes[phone] = append(s.inboxes[phone], remote.Message{ID: id, ReceivedAt: time.Now().UnixMilli()})
		s.journal = append(s.journal, remote.Row{N: uint64(len(s.journal) + 1), Direction: "out", Tag: "receipt", ID: id})
	})
	return id, nil
}

func (s *system) Messages(_ context.Context, number string) ([]remote.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]remote.Message(nil), s.inboxes[number]...), nil
}

func (s *system) Journal(_ context.Context, after uint64) ([]remote.Row, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]remote.Row(nil), s.journal[after:]...), nil
}

func newSystem(takes, travels time.Duration) *system {
	return &system{takes: takes, travels: travels, inboxes: make(map[string][]remote.Message)}
}

var pairs = []load.Pair{{CompanyID: "a", Phone: "1"}, {CompanyID: "b", Phone: "2"}}

const ms = time.Millisecond

func TestOpenKeepsItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, start := newSystem(30*ms, 5*ms), time.Now()
		warm, sent, err := load.Open(t.Context(), s, pairs, 100, time.Second, 2*time.Second)
		require.NoError(t, err)
		require.Len(t, warm, 100)
		require.Len(t, sent, 200)
		for n, one := range sent {
			require.Equal(t, start.Add(time.Second+time.Duration(n)*10*ms), one.Due)
			require.Equal(t, pairs[n%2], one.Pair)
			require.Equal(t, one.Due.Add(30*ms), one.Answered, "calls do not wait for each other")
		}
		synctest.Wait()
		<-time.After(5 * ms)
	})
}

func TestAStallCountsForEveryCallThatItHeldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(ms, ms)
		s.stallUntil = time.Now().Add(time.Second)
		_, sent, err := load.Open(t.Context(), s, pairs, 100, 0, 2*time.Second)
		require.NoError(t, err)
		slow := 0
		for _, one := range sent {
			if one.Answered.Sub(one.Due) > 100*ms {
				slow++
			}
		}
		require.InDelta(t, 90, slow, 1, "every call of the first 900 ms")
		<-time.After(ms)
	})
}

func TestOpenDoesNotPileUpForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(time.Minute, 0)
		_, sent, err := load.Open(t.Context(), s, pairs, 1000, 0, 3*time.Second)
		require.NoError(t, err)
		require.Equal(t, 2000, s.most)
		o := load.Judge(sent, nil)
		require.Equal(t, 1000, o.Refused)
		require.ErrorIs(t, o.FirstError, load.ErrOverload)
		<-time.After(ms)
	})
}

func TestOpenEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, reason)
		defer cancel()
		_, _, err := load.Open(ctx, newSystem(ms, 0), pairs, 10, 0, time.Hour)
		require.ErrorIs(t, err, reason)
		<-time.After(ms)
	})
}

func TestClosedKeepsAFixedNumberInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(10*ms, 85*ms) // arrives after 95 ms, is seen by the next look at the journal
		sent := closed(t, s, 4, 10*time.Second)
		require.Equal(t, 8, s.most, "four for each of two pairs")
		require.InDelta(t, 820, len(sent), 30, "eight workers, 95 to 100 ms for each message")
		require.Zero(t, load.Judge(sent, collect(t, s, sent)).Lost)
	})
}

func TestClosedSurvivesRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(0, 0)
		s.refuse = errors.New("not now")
		sent := closed(t, s, 1, time.Second)
		o := load.Judge(sent, nil)
		require.Equal(t, 20, o.Refused, "a pause after each")
		require.ErrorIs(t, o.FirstError, s.refuse)
		require.Empty(t, o.Accept)
	})
}

func TestClosedGoesOnWithoutALostMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(ms, 24*time.Hour)
		sent := closed(t, s, 1, 15*time.Second)
		require.Len(t, sent, 4, "one after 10 s each, until 15 s have passed")
		require.Equal(t, 4, load.Judge(sent, collect(t, s, sent)).Lost)
		<-time.After(24 * time.Hour)
	})
}

// closed runs the closed load with receipts that follow the journal.
func closed(t *testing.T, s *system, workers int, lasting time.Duration) []load.Sent {
	t.Helper()
	receipts, err := load.NewReceipts(t.Context(), s)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan error, 1)
	go func() { followed <- receipts.Follow(ctx) }()
	sent, err := load.Closed(t.Context(), s, receipts, pairs, workers, lasting)
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-followed)
	return sent
}

func collect(t *testing.T, s *system, sent []load.Sent) map[string]load.Arrival {
	t.Helper()
	arrived, err := load.Collect(t.Context(), s, sent, time.Second)
	require.NoError(t, err)
	return arrived
}

func TestCollectWaitsForStragglers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(ms, 20*time.Second)
		_, sent, err := load.Open(t.Context(), s, pairs, 10, 0, time.Second)
		require.NoError(t, err)
		arrived, err := load.Collect(t.Context(), s, sent, 30*time.Second)
		require.NoError(t, err)
		require.Len(t, arrived, 10)
		require.Equal(t, 10, load.Within(sent, arrived, sent[0].Due, sent[9].Due.Add(time.Minute)))
		require.Zero(t, load.Within(sent, arrived, sent[0].Due, sent[9].Due))
	})
}

func TestReceiptsThatWereThereBefore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(0, 0)
		s.journal = []remote.Row{{N: 1, Direction: "out", Tag: "receipt", ID: "old"}}
		receipts, err := load.NewReceipts(t.Context(), s)
		require.NoError(t, err)
		s.journal = append(s.journal,
			remote.Row{N: 2, Direction: "in", Tag: "receipt", ID: "other way"},
			remote.Row{N: 3, Direction: "out", Tag: "receipt", Type: "read", ID: "read"},
			remote.Row{N: 4, Direction: "out", Tag: "message", ID: "message"},
			remote.Row{N: 5, Direction: "out", Tag: "receipt", ID: "new"})
		ctx, cancel := context.WithCancel(t.Context())
		followed := make(chan error, 1)
		go func() { followed <- receipts.Follow(ctx) }()
		require.NoError(t, receipts.Await(t.Context(), "new"))
		require.NoError(t, receipts.Await(t.Context(), "new"), "again")
		for _, id := range []string{"old", "other way", "read", "message"} {
			waiting, stop := context.WithTimeout(t.Context(), time.Second)
			require.ErrorIs(t, receipts.Await(waiting, id), context.DeadlineExceeded, id)
			stop()
		}
		cancel()
		require.NoError(t, <-followed)
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	due := time.UnixMilli(1700000000000)
	sent := []load.Sent{
		{ID: "A", Due: due, Answered: due.Add(3 * ms)},
		{ID: "B", Due: due, Answered: due.Add(4 * ms)},
		{ID: "C", Due: due, Answered: due.Add(5 * ms)},
		{Due: due, Answered: due.Add(ms), Err: errors.New("refused")},
	}
	o := load.Judge(sent, map[string]load.Arrival{
		"A": {At: due.Add(10 * ms), Times: 1}, "B": {At: due.Add(20 * ms), Times: 3}, "foreign": {At: due, Times: 9},
	})
	require.Equal(t, 4, o.Calls)
	require.Equal(t, 1, o.Refused)
	require.Equal(t, 1, o.Lost)
	require.Equal(t, 2, o.Duplicates)
	require.EqualError(t, o.FirstError, "refused")
	require.Equal(t, []time.Duration{3 * ms, 4 * ms, 5 * ms}, o.Accept)
	require.Equal(t, []time.Duration{10 * ms, 20 * ms}, o.ToPhone)
	require.Equal(t, []time.Duration{7 * ms, 16 * ms}, o.Handed)
}
