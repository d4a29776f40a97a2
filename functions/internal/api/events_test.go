package api_test

import (
	"context"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/session"
	"wafleet/shared/store"
)

func appendEvent(t *testing.T, b *bundle, company string, n int) {
	t.Helper()
	require.NoError(t, b.store.InTx(t.Context(), func(tx pgx.Tx) error {
		_, err := b.store.AppendEvent(t.Context(), tx, store.Event{
			CompanyID: company, Type: "message.sent", Data: map[string]any{"messageId": strconv.Itoa(n), "status": "sent"},
		})
		return err
	}))
}

func TestEvents(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	b.do(t, http.MethodGet, "/events?companyId=962302", b.admin, "").status(200).golden("events-none")
	appendEvent(t, b, "other", 0)
	for n := range 5 {
		appendEvent(t, b, "962302", n)
	}
	b.do(t, http.MethodGet, "/events?companyId=962302&limit=2", b.admin, "").status(200).golden("events")

	var seen []any
	next := ""
	for {
		a := b.do(t, http.MethodGet, "/events?companyId=962302&limit=2&after="+next, b.admin, "").status(200)
		data, _ := a.value("data").([]any)
		next, _ = a.value("next").(string)
		if len(data) == 0 {
			break
		}
		for _, e := range data {
			event, _ := e.(map[string]any)
			seen = append(seen, event["seq"])
		}
	}
	require.Equal(t, []any{1.0, 2.0, 3.0, 4.0, 5.0}, seen)
	require.Equal(t, "5", next, "an empty page leaves the cursor where it is")
}

func TestEventsRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	for query, field := range map[string]string{
		"after=x": "after", "after=-1": "after", "after=99999999999999999999": "after", "limit=0": "limit", "limit=501": "limit", "limit=a": "limit",
		"wait=-1": "wait", "wait=21": "wait", "wait=1.5": "wait",
	} {
		a := b.do(t, http.MethodGet, "/events?companyId=962302&"+query, b.admin, "").status(400).code("VALIDATION_ERROR")
		require.Equal(t, field, a.value("error", "details", "field"), query)
	}
}

func TestEventsWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	answers := make(chan answer)
	go func() { answers <- b.do(t, http.MethodGet, "/events?companyId=962302&wait=20", b.admin, "") }()
	select {
	case a := <-answers:
		t.Fatalf("did not wait: %s", a.Body)
	case <-time.After(400 * time.Millisecond):
	}
	appendEvent(t, b, "962302", 1)
	select {
	case a := <-answers:
		require.Len(t, a.status(200).value("data"), 1)
	case <-time.After(5 * time.Second):
		t.Fatal("the event was not noticed")
	}
	started := time.Now()
	a := b.do(t, http.MethodGet, "/events?companyId=962302&after=1&wait=1", b.admin, "").status(200)
	require.Empty(t, a.value("data"))
	require.Equal(t, "1", a.value("next"))
	require.InDelta(t, time.Second, time.Since(started), float64(time.Second))
}

// A process that is about to end lets those go that only wait; what there is they get.
func TestEventsEndWithTheProcess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	answers := make(chan answer, 1)
	go func() { answers <- b.do(t, http.MethodGet, "/events?companyId=962302&wait=20", b.admin, "") }()
	select {
	case a := <-answers:
		t.Fatalf("did not wait: %s", a.Body)
	case <-time.After(300 * time.Millisecond):
	}
	b.api.Drain()
	b.api.Drain()
	select {
	case a := <-answers:
		require.Empty(t, a.status(200).value("data"))
	case <-time.After(5 * time.Second):
		t.Fatal("still waits")
	}
	b.do(t, http.MethodGet, "/events?companyId=962302&wait=20", b.admin, "").status(200) // nor does a late one wait
}

// A company that opens more and more waiting calls runs into its own bound.
func TestEventsWaitersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "a", session.Connected)
	b.company(t, "b", session.Connected)
	ctx, cancel := context.WithCancel(t.Context())
	codes := make(chan int, 16)
	for range cap(codes) {
		go func() { codes <- b.doWith(t, ctx, http.MethodGet, "/events?companyId=a&wait=20", b.admin, "").Code }()
	}
	for range 8 {
		require.Equal(t, http.StatusTooManyRequests, <-codes)
	}
	b.do(t, http.MethodGet, "/events?companyId=a", b.admin, "").status(200) // who does not wait needs no place
	b.do(t, http.MethodGet, "/events?companyId=b&wait=1", b.admin, "").status(200)
	cancel()
	for range 8 {
		require.Equal(t, 499, <-codes, "the others have waited")
	}
	b.do(t, http.MethodGet, "/events?companyId=a&wait=1", b.admin, "").status(200)
}
