package actor

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

// Every outcome of an attempt, early and late, has one place on the ladder.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	notWritten := func(reason string, final bool) error {
		return &SendError{Outcome: NotWritten, Reason: reason, Final: final, Err: cause}
	}
	for name, tc := range map[string]struct {
		err     error
		attempt int
		to      message.Status
		reason  string
		waits   bool
	}{
		"acked":                            {nil, 1, message.Sent, "", false},
		"acked at last":                    {nil, maxAttempts, message.Sent, "", false},
		"an ack that did not come":         {&SendError{Outcome: Unknown, Reason: "no_ack", Err: cause}, 1, message.Unconfirmed, "no_ack", false},
		"nor the tenth time":               {&SendError{Outcome: Unknown, Reason: "timeout", Err: cause}, maxAttempts, message.Unconfirmed, "timeout", false},
		"an error of nobody's":             {cause, 1, message.Unconfirmed, "no_ack", false},
		"refused":                          {&SendError{Outcome: Refused, Reason: "server_refused_479", Err: cause}, 1, message.Failed, "server_refused_479", false},
		"refused for good":                 {&SendError{Outcome: Refused, Reason: "account_reachout_locked", Final: true, Err: cause}, 1, message.Failed, "account_reachout_locked", false},
		"not written":                      {notWritten("query_timeout", false), 1, message.Queued, "query_timeout", false},
		"not written twice":                {notWritten("query_timeout", false), promptAttempts, message.Queued, "query_timeout", false},
		"not written again and again":      {notWritten("query_timeout", false), promptAttempts + 1, message.Queued, "query_timeout", true},
		"the last but one":                 {notWritten("query_timeout", false), maxAttempts - 1, message.Queued, "query_timeout", true},
		"never written":                    {notWritten("query_timeout", false), maxAttempts, message.Failed, "query_timeout", false},
		"cannot be written":                {notWritten("unreadable", true), 1, message.Failed, "unreadable", false},
		"offline":                          {notWritten(reasonOffline, false), 1, message.Queued, reasonOffline, false},
		"offline often: waits for a login": {notWritten(reasonOffline, false), maxAttempts - 1, message.Queued, reasonOffline, false},
		"wrapped on its way": {
			fmt.Errorf("send: %w", &SendError{Outcome: Refused, Reason: "recipient_not_on_whatsapp", Err: cause}), 1,
			message.Failed, "recipient_not_on_whatsapp", false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := verdict("3EB0", tc.attempt, tc.err)
			require.Equal(t, "3EB0", m.MessageID)
			require.Equal(t, tc.to, m.To)
			require.Equal(t, tc.reason, m.Reason)
			require.Equal(t, tc.waits, m.Delay > 0)
			require.Equal(t, []message.Status{message.Sending}, m.From, "only what is in hand is decided")
			require.Contains(t, m.To.Sources(), message.Sending, "the ladder has the step")
		})
	}
}

// What the database understood and will not take is poison; what has to do with the moment is not.
func TestPoison(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"22001": true,  // too long for its column
		"22021": true,  // not UTF-8
		"22P05": true,  // a zero byte
		"23514": true,  // a CHECK
		"23505": true,  // a key that is there already
		"08006": false, // the connection failed
		"25P02": false, // the transaction was aborted before
		"40001": false, // serialization
		"40P01": false, // a deadlock
		"42P01": false, // no such table: a migration that has not run
		"53300": false, // too many connections
		"57014": false, // the statement timed out
		"57P01": false, // the server is going away
		"58000": false, // the disk
		"XX000": false,
		"2":     false,
		"":      false,
	} {
		err := fmt.Errorf("insert incoming: %w", &pgconn.PgError{Code: code})
		require.Equal(t, want, poison(err), code)
	}
	require.False(t, poison(errors.New("connection refused")))
	require.False(t, poison(context.DeadlineExceeded))
	require.False(t, poison(nil))
}

func TestOfflineIsOnlyTheWantOfAConnection(t *testing.T) {
	t.Parallel()
	require.True(t, offline(fmt.Errorf("send: %w", &SendError{Outcome: NotWritten, Reason: reasonOffline})))
	require.True(t, offline(&SendError{Outcome: Unknown, Reason: reasonOffline}))
	require.False(t, offline(&SendError{Outcome: NotWritten, Reason: "query_timeout"}))
	require.False(t, offline(errors.New(reasonOffline)))
	require.False(t, offline(nil))
}

func TestASendErrorNamesItsReasonAndKeepsItsCause(t *testing.T) {
	t.Parallel()
	err := error(&SendError{Outcome: Unknown, Reason: "no_ack", Err: context.DeadlineExceeded})
	require.Equal(t, "send: no_ack: context deadline exceeded", err.Error())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// The counters take their labels from a closed set of reasons, never from the text of an error.
func TestSendsAreCountedByTheirReason(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	m := newMetrics(registry)
	m.sent(nil, time.Second)
	m.sent(fmt.Errorf("send: %w", &SendError{Reason: "timeout"}), time.Second)
	m.sent(errors.New("79001111111 is not here"), time.Second)

	families, err := registry.Gather()
	require.NoError(t, err)
	counted := make(map[string]float64)
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			switch family.GetName() {
			case "wafleet_sends_total":
				counted[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
			case "wafleet_send_duration_seconds":
				require.EqualValues(t, 1, metric.GetHistogram().GetSampleCount(), "only what was acked has a duration")
			}
		}
	}
	require.Equal(t, map[string]float64{"sent": 1, "timeout": 1, "no_ack": 1}, counted)
}

func TestSleep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		require.True(t, sleep(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(start))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.False(t, sleep(ctx, time.Hour))
		require.Equal(t, time.Minute+time.Second, time.Since(start), "the context ends the wait")
		require.False(t, sleep(ctx, time.Hour), "and an ended one allows none")
	})
}
