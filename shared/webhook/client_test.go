package webhook_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

// soon is a timeout for receivers that do not answer, late one that no test should reach.
const soon, late = 100 * time.Millisecond, 20 * time.Second

func TestPostIsSignedAndComplete(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	secret := webhook.NewSecret()
	signer, err := webhook.NewSigner(secret, "", true)
	require.NoError(t, err)

	outcome := newClient(t, webhook.ClientConfig{}).Post(t.Context(), receiver.URL+"/hook?token=x", signer, "evt_1", []byte(`{"a":1}`))
	require.NoError(t, outcome.Err)
	require.True(t, outcome.Delivered())
	require.Equal(t, http.StatusNoContent, outcome.Status)
	require.Positive(t, outcome.Took)

	request := receiver.Await(t, 1)[0]
	require.Equal(t, `{"a":1}`, string(request.Body))
	request.Verify(t, string(secret))
	require.Equal(t, "evt_1", request.Header.Get("webhook-id"))
	require.Equal(t, "application/json", request.Header.Get("Content-Type"))
	require.NotEmpty(t, request.Header.Get("X-Signature"))
	require.NotEmpty(t, request.Header.Get("User-Agent"))
}

func TestStatusDecides(t *testing.T) {
	t.Parallel()
	client := newClient(t, webhook.ClientConfig{})
	for status, want := range map[int]webhook.Result{
		200: webhook.Delivered, 201: webhook.Delivered, 204: webhook.Delivered, 299: webhook.Delivered,
		301: webhook.Redirected, 304: webhook.Redirected, 308: webhook.Redirected,
		400: webhook.Rejected, 401: webhook.Rejected, 404: webhook.Rejected, 408: webhook.Rejected, 410: webhook.Gone,
		429: webhook.RateLimited, 500: webhook.ServerError, 503: webhook.ServerError, 599: webhook.ServerError, 700: webhook.BadStatus,
	} {
		receiver := webhooktest.New(t)
		receiver.Answer(webhooktest.Answer{Status: status})
		outcome := client.Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`))
		require.Equal(t, want, outcome.Result, status)
		require.Equal(t, status, outcome.Status)
		require.NoError(t, outcome.Err)
	}
}

func TestRetryAfterIsRead(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"42"}}})
	outcome := newClient(t, webhook.ClientConfig{}).Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`))
	require.Equal(t, webhook.RateLimited, outcome.Result)
	require.Equal(t, 42*time.Second, outcome.RetryAfter)
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := webhooktest.New(t)
	client := newClient(t, webhook.ClientConfig{})
	for _, to := range []string{elsewhere.URL, "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "file:///etc/passwd"} {
		receiver := webhooktest.New(t)
		receiver.Answer(webhooktest.Answer{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {to}}})
		outcome := client.Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`))
		require.Equal(t, webhook.Redirected, outcome.Result)
		require.Len(t, receiver.Requests(), 1)
	}
	require.Empty(t, elsewhere.Requests())
}

func TestReceiverThatHangs(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Hang: true})
	outcome := newClient(t, webhook.ClientConfig{Timeout: soon}).Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`))
	require.Equal(t, webhook.TimedOut, outcome.Result)
	require.Less(t, outcome.Took, late)
}

// A header that comes byte by byte keeps every single read busy; only the whole attempt's limit ends it.
func TestReceiverThatDripsItsHeader(t *testing.T) {
	t.Parallel()
	server := serveRaw(t, func(conn net.Conn) {
		for _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nX-Slow: ")); err == nil; _, err = conn.Write([]byte("a")) {
			wait(5 * time.Millisecond)
		}
	})
	outcome := newClient(t, webhook.ClientConfig{Timeout: soon}).Post(t.Context(), server, newSigner(t), "evt_1", []byte(`{}`))
	require.Equal(t, webhook.TimedOut, outcome.Result)
	require.Less(t, outcome.Took, late)
}

func TestReceiverWithAnEndlessHeader(t *testing.T) {
	t.Parallel()
	server := serveRaw(t, func(conn net.Conn) {
		chunk := []byte("X-Much: " + strings.Repeat("a", 4096) + "\r\n")
		for _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\n")); err == nil; {
			_, err = conn.Write(chunk)
		}
	})
	outcome := newClient(t, webhook.ClientConfig{Timeout: late}).Post(t.Context(), server, newSigner(t), "evt_1", []byte(`{}`))
	require.Equal(t, webhook.Unreachable, outcome.Result)
	require.Less(t, outcome.Took, late)
}

// The status has been heard: a slow or endless body takes nothing back and holds nobody up.
func TestBodyOfAnAnswerIsIgnored(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]webhooktest.Answer{
		"drips": {Status: http.StatusOK, Drip: 10 * time.Millisecond},
		"huge":  {Status: http.StatusOK, Body: make([]byte, 16<<20)},
		"bomb":  {Status: http.StatusOK, Header: http.Header{"Content-Encoding": {"gzip"}}, Body: []byte("not gzip at all")},
	} {
		receiver := webhooktest.New(t)
		receiver.Answer(answer)
		outcome := newClient(t, webhook.ClientConfig{Timeout: late}).Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`))
		require.Equal(t, webhook.Delivered, outcome.Result, name)
		require.Less(t, outcome.Took, 5*time.Second, name)
	}
}

func TestConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok")) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, webhook.ClientConfig{})
	for range 20 {
		require.True(t, client.Post(t.Context(), server.URL, newSigner(t), "evt_1", []byte(`{}`)).Delivered())
	}
	require.Less(t, opened.Load(), int32(10), "now and then the transport is late to take one back")
}

func TestFailuresBelowHTTP(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(untrusted.Close)
	outdated := httptest.NewUnstartedServer(http.NotFoundHandler())
	outdated.TLS = &tls.Config{MaxVersion: tls.VersionTLS11}
	outdated.StartTLS()
	t.Cleanup(outdated.Close)
	broken := serveRaw(t, func(net.Conn) {})
	client := newClient(t, webhook.ClientConfig{Resolver: newResolver(t, map[string][]string{"empty.example": {}})})
	for to, want := range map[string]webhook.Result{
		untrusted.URL:                  webhook.TLSFailed,
		outdated.URL:                   webhook.TLSFailed,
		broken:                         webhook.Unreachable,
		"http://127.0.0.1:1/":          webhook.Unreachable,
		"https://nowhere.example/":     webhook.Unresolved,
		"https://empty.example/":       webhook.Unresolved,
		"https://10.0.0.1/?token=abcd": webhook.Blocked,
		"http://%zz/":                  webhook.Unreachable,
	} {
		outcome := client.Post(t.Context(), to, newSigner(t), "evt_1", []byte(`{}`))
		require.Equal(t, want, outcome.Result, "%s: %v", to, outcome.Err)
		require.Zero(t, outcome.Status)
		var urlErr *url.Error
		require.NotErrorAs(t, outcome.Err, &urlErr, "the URL must not reach a log")
		require.NotContains(t, outcome.Err.Error(), "abcd")
	}
}

func TestNameThatResolvesToABlockedAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"10.0.0.5", "192.168.0.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "168.63.129.16", "::1", "fd00:ec2::254", "fe80::1",
		"64:ff9b::a00:1", "2002:7f00:1::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
	} {
		client := webhook.NewClient(webhook.NewTargets(false, true), webhook.ClientConfig{
			Resolver: newResolver(t, map[string][]string{"hook.example": {address}}), Timeout: late,
		})
		t.Cleanup(client.Close)
		outcome := client.Post(t.Context(), "https://hook.example/", newSigner(t), "evt_1", []byte(`{}`))
		require.Equal(t, webhook.Blocked, outcome.Result, "%s: %v", address, outcome.Err)
		require.ErrorIs(t, outcome.Err, webhook.ErrTargetBlocked)
	}
}

// The name passes every check of its text; what counts is where it leads at the time of the dial.
func TestNameThatChangesItsMind(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	u, err := url.Parse(receiver.URL)
	require.NoError(t, err)
	names := map[string][]string{"hook.example": {"127.0.0.1"}}
	target := "http://hook.example:" + u.Port() + "/"
	targets := webhook.NewTargets(true, true)
	require.NoError(t, targets.CheckURL(target))
	client := webhook.NewClient(targets, webhook.ClientConfig{Resolver: newResolver(t, names)})
	t.Cleanup(client.Close)
	require.True(t, client.Post(t.Context(), target, newSigner(t), "evt_1", []byte(`{}`)).Delivered())

	client.Close()
	names["hook.example"] = []string{"10.0.0.5"}
	require.Equal(t, webhook.Blocked, client.Post(t.Context(), target, newSigner(t), "evt_1", []byte(`{}`)).Result)
	require.Len(t, receiver.Requests(), 1)
}

func TestLoopbackOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	for _, targets := range []*webhook.Targets{webhook.NewTargets(false, true), webhook.NewTargets(true, false)} {
		client := webhook.NewClient(targets, webhook.ClientConfig{})
		t.Cleanup(client.Close)
		require.Equal(t, webhook.Blocked, client.Post(t.Context(), receiver.URL, newSigner(t), "evt_1", []byte(`{}`)).Result)
	}
	require.Empty(t, receiver.Requests())
}

func TestPostEndsWithItsContext(t *testing.T) {
	t.Parallel()
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan webhook.Outcome, 1)
	client := newClient(t, webhook.ClientConfig{Timeout: late})
	signer := newSigner(t)
	go func() { done <- client.Post(ctx, receiver.URL, signer, "evt_1", []byte(`{}`)) }()
	receiver.Await(t, 1)
	cancel()
	outcome := <-done
	require.ErrorIs(t, outcome.Err, context.Canceled)
	require.False(t, outcome.Delivered())
}

func newClient(t *testing.T, config webhook.ClientConfig) *webhook.Client {
	t.Helper()
	client := webhook.NewClient(webhook.NewTargets(true, true), config)
	t.Cleanup(client.Close)
	return client
}

func newSigner(t *testing.T) *webhook.Signer {
	t.Helper()
	signer, err := webhook.NewSigner(webhook.NewSecret(), "", false)
	require.NoError(t, err)
	return signer
}

// serveRaw lets serve answer the request of each connection in its own way, and returns the URL.
func serveRaw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				serve(conn)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String()
}

// wait paces a misbehaving server; no test depends on how long it takes.
func wait(d time.Duration) { <-time.After(d) }
