package webhook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every status there can be, and its decision.
func TestClassifyStatus(t *testing.T) {
	t.Parallel()
	for status := range 1000 {
		want := BadStatus
		switch {
		case status == 410:
			want = Gone
		case status == 429:
			want = RateLimited
		case status >= 200 && status < 300:
			want = Delivered
		case status >= 300 && status < 400:
			want = Redirected
		case status >= 400 && status < 500:
			want = Rejected
		case status >= 500 && status < 600:
			want = ServerError
		}
		got := Outcome{Result: classifyStatus(status), Status: status}
		require.Equal(t, want, got.Result, status)
		require.Equal(t, status/100 == 2, got.Delivered(), status)
		require.Equal(t, status == 410, got.Disables(), status)
	}
}

func TestClassifyError(t *testing.T) {
	t.Parallel()
	for err, want := range map[error][2]Result{ // outside and inside of a TLS handshake
		fmt.Errorf("%w: 10.0.0.1", ErrTargetBlocked): {Blocked, Blocked},
		context.DeadlineExceeded:                     {TimedOut, TimedOut},
		os.ErrDeadlineExceeded:                       {TimedOut, TimedOut},
		&net.DNSError{IsTimeout: true}:               {TimedOut, TimedOut},
		&net.DNSError{IsNotFound: true}:              {Unresolved, Unresolved},
		context.Canceled:                             {Unreachable, TLSFailed},
		syscall.ECONNREFUSED:                         {Unreachable, TLSFailed},
		io.ErrUnexpectedEOF:                          {Unreachable, TLSFailed},
	} {
		wrapped := &url.Error{Op: "Post", URL: "https://example.com", Err: &net.OpError{Op: "dial", Net: "tcp", Err: err}}
		require.Equal(t, want[0], classifyError(wrapped, false), "%v", err)
		require.Equal(t, want[1], classifyError(wrapped, true), "%v", err)
	}
}

func TestEveryResultHasItsSummary(t *testing.T) {
	t.Parallel()
	seen := map[string]Result{}
	for _, result := range Results() {
		require.Regexp(t, `^[a-z_]+$`, result)
		summary := Outcome{Result: result, Status: 555}.Summary()
		if result == Delivered {
			require.Empty(t, summary)
			continue
		}
		require.NotEqual(t, string(result), summary, "no text for %s", result)
		seen[summary] = result
	}
	// The four that only quote the status share their text.
	require.Len(t, seen, len(Results())-1-3)
	require.Equal(t, "unheard", Outcome{Result: "unheard"}.Summary())
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 90 ": 90 * time.Second, "-5": 0, "soon": 0, "1.5": 0,
		"86400": 24 * time.Hour, "86401": 24 * time.Hour, "18446744073709551615": 24 * time.Hour, "99999999999999999999": 0,
		now.Add(time.Minute).Format(http.TimeFormat):                        time.Minute,
		now.Add(-time.Minute).Format(http.TimeFormat):                       0,
		now.Add(1000 * time.Hour).Format(http.TimeFormat):                   24 * time.Hour,
		now.Add(10 * time.Minute).Format(time.RFC850):                       10 * time.Minute,
		time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).Format(http.TimeFormat): 24 * time.Hour,
	} {
		require.Equal(t, want, retryAfter(http.Header{"Retry-After": {value}}, now), "%q", value)
	}
	require.Zero(t, retryAfter(http.Header{}, now))
}

// A proxy would resolve and dial for us, behind Control's back.
func TestClientIgnoresProxySettings(t *testing.T) {
	t.Parallel()
	transport, ok := NewClient(NewTargets(false, false), ClientConfig{}).http.Transport.(*http.Transport)
	require.True(t, ok)
	require.Nil(t, transport.Proxy)
}
