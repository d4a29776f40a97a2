package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

// host answers live questions in the place of a company's owner: numbers that end in an even digit are on WhatsApp.
type host struct {
	mu    sync.Mutex
	asked [][]string
	fail  error
}

func (h *host) answer(_ context.Context, _ rpc.Owner, q rpc.Question) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var asked rpc.ContactsAsked
	if err := json.Unmarshal(q.Body, &asked); err != nil || q.Kind != rpc.CheckContacts || q.CompanyID != "962302" {
		return nil, fmt.Errorf("asked for %s of %s: %w", q.Kind, q.CompanyID, err)
	}
	h.asked = append(h.asked, asked.Phones)
	if h.fail != nil {
		return nil, h.fail
	}
	found := make([]rpc.ContactFound, len(asked.Phones))
	for i, phone := range asked.Phones {
		found[i] = rpc.ContactFound{Phone: phone}
		if (phone[len(phone)-1]-'0')%2 == 0 {
			found[i] = rpc.ContactFound{Phone: phone, Exists: true, JID: phone + "@s.whatsapp.net", LID: "1" + phone + "@lid"}
		}
	}
	return found, nil
}

func (h *host) set(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

func (h *host) calls() [][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.asked)
}

// attend gives the companies of shard 1 an owner that answers.
func (b *bundle) attend(t *testing.T) *host {
	t.Helper()
	h := &host{}
	b.attendWith(t, h.answer)
	return h
}

// attendWith is attend with answers of a test's own.
func (b *bundle) attendWith(t *testing.T, answer rpc.Answerer) {
	t.Helper()
	owned(t, b)
	client := redis.NewClient(&redis.Options{Addr: b.redis.Addr(), MaxRetries: -1})
	r := rpc.NewResponder(client, slog.New(slog.DiscardHandler), func(context.Context, rpc.Owner) error { return nil }, answer)
	require.NoError(t, r.Start(t.Context()))
	t.Cleanup(func() {
		_ = r.Stop(context.Background())
		_ = client.Close()
	})
	owner := rpc.Owner{Shard: 1, Term: scan[uuid.UUID](t, b, `SELECT term FROM shard_lease WHERE shard = 1`)}
	r.Hold(t.Context(), owner)
	require.Eventually(t, func() bool {
		return b.redis.PubSubNumSub(fmt.Sprintf("wafleet:rpc:1:%s", owner.Term))[fmt.Sprintf("wafleet:rpc:1:%s", owner.Term)] == 1
	}, 5*time.Second, time.Millisecond)
}

func check(t *testing.T, b *bundle, phones ...string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]any{"companyId": "962302", "phones": phones})
	require.NoError(t, err)
	return b.do(t, http.MethodPost, "/contacts/check", b.admin, string(body))
}

func TestCheckContacts(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	h := b.attend(t)
	a := check(t, b, "+7 900 123-45-61", "79001234562", "79001234562").status(200)
	require.JSONEq(t, `{"success": true, "data": [
		{"phone": "79001234561", "exists": false},
		{"phone": "79001234562", "exists": true, "jid": "79001234562@s.whatsapp.net", "lid": "179001234562@lid"},
		{"phone": "79001234562", "exists": true, "jid": "79001234562@s.whatsapp.net", "lid": "179001234562@lid"}]}`, a.Body.String())
	require.Equal(t, [][]string{{"79001234561", "79001234562"}}, h.calls(), "each once")

	check(t, b, "79001234562", "79001234561", "79001234564").status(200)
	require.Equal(t, []string{"79001234564"}, h.calls()[1], "what is known is not asked again")
	b.redis.FastForward(2 * time.Hour)
	check(t, b, "79001234562", "79001234561").status(200)
	require.Equal(t, []string{"79001234561"}, h.calls()[2], "strangers may have joined")
	for _, key := range b.redis.Keys() {
		require.NotContains(t, key, "7900123", "no address book in the keys")
	}
}

// What cannot be known now is a clear error that says when to try again, and costs nothing.
func TestContactsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	a := check(t, b, "79001234562").status(503).code("CONNECTION_ERROR")
	require.Equal(t, true, a.value("error", "isRetryable"))
	require.NotNil(t, a.value("error", "retryAfter"))

	owned(t, b) // a lease, and nobody who listens
	a = check(t, b, "79001234562").status(504).code("TIMEOUT")
	require.Equal(t, true, a.value("error", "isRetryable"))

	h := b.attend(t)
	for _, tc := range []struct {
		err    error
		status int
		code   string
	}{
		{rpc.ErrOffline, 409, "SESSION_ERROR"},
		{rpc.ErrWhatsApp, 502, "PROVIDER_ERROR"},
		{rpc.ErrUnknown, 503, "CONNECTION_ERROR"},
		{errors.New("secret"), 503, "CONNECTION_ERROR"},
	} {
		h.set(tc.err)
		a = check(t, b, "79001234562").status(tc.status).code(tc.code)
		require.Equal(t, true, a.value("error", "isRetryable"), tc.code)
		require.NotContains(t, a.Body.String(), "secret")
	}
	asked := len(h.calls())
	for state, retryable := range map[session.State]bool{session.Reconnecting: true, session.Connecting: true, session.LoggedOut: false, session.Pairing: false} {
		b.setState(t, "962302", state)
		a = check(t, b, "79001234562").status(409).code("SESSION_ERROR")
		require.Equal(t, retryable, a.value("error", "isRetryable"), state)
	}
	require.Len(t, h.calls(), asked)

	b.setState(t, "962302", session.Connected)
	h.set(nil)
	b.redis.SetError("LOADING")
	check(t, b, "79001234562").status(429)
	b.redis.SetError("")
	check(t, b, "79001234562").status(200)
}

// A company cannot go through lists of numbers: WhatsApp would take it for a spammer.
func TestContactsAreBudgeted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	h := b.attend(t)
	ask := func(from int) answer {
		phones := make([]string, 50)
		for i := range phones {
			phones[i] = fmt.Sprintf("7900%07d", from+i)
		}
		return check(t, b, phones...)
	}
	for i := range 4 {
		ask(i * 50).status(200)
	}
	a := ask(200).status(429).code("RATE_LIMIT_EXCEEDED")
	require.NotNil(t, a.value("error", "retryAfter"))
	require.Len(t, h.calls(), 4)
	ask(0).status(200)
}

func TestContactsBadInput(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	own := "962302"
	many := strings.TrimSuffix(strings.Repeat(`"79001234567",`, 51), ",")
	for name, tc := range map[string]struct {
		body   string
		status int
		field  string
	}{
		"no numbers":     {`{"companyId": "962302", "phones": []}`, 400, "phones"},
		"none said":      {`{"companyId": "962302"}`, 400, "phones"},
		"too many":       {`{"companyId": "962302", "phones": [` + many + `]}`, 400, "phones"},
		"letters":        {`{"companyId": "962302", "phones": ["79001234567", "7900CALLME"]}`, 400, "phones[1]"},
		"numbers":        {`{"companyId": "962302", "phones": [79001234567]}`, 400, ""},
		"unknown field":  {`{"companyId": "962302", "phones": ["79001234567"], "x": 1}`, 400, ""},
		"no such tenant": {`{"companyId": "nobody", "phones": ["79001234567"]}`, 404, ""},
	} {
		a := b.do(t, http.MethodPost, "/contacts/check", b.admin, tc.body).status(tc.status)
		if tc.field != "" {
			require.Equal(t, tc.field, a.value("error", "details", "field"), name)
		}
	}
	body := `{"companyId": "other", "phones": ["79001234567"]}`
	b.do(t, http.MethodPost, "/contacts/check", b.key(t, &own, "send"), body).status(403).code("FORBIDDEN")
	b.do(t, http.MethodPost, "/contacts/check", b.key(t, &own, "read"), `{"phones": ["79001234567"]}`).status(403)
	b.do(t, http.MethodPost, "/contacts/check", "", body).status(401)
}

// A diagnosis asks WhatsApp about a recipient that nothing is known of, and says what it cannot know.
func TestDiagnoseAsksWhatsApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	h := b.attend(t)
	require.Equal(t, "ok", diagnose(t, b, "79001234562").verdicts["recipient"])
	d := diagnose(t, b, "79001234561")
	require.Equal(t, "failed", d.verdicts["recipient"])
	require.Contains(t, d.texts["recipient"], "not on WhatsApp")
	h.set(rpc.ErrWhatsApp)
	d = diagnose(t, b, "79001234564")
	require.Equal(t, "unknown", d.verdicts["recipient"])
	require.Equal(t, "ok", d.verdicts["owner"], "nothing else is concerned")
	require.Equal(t, "ok", diagnose(t, b, "79001234562").verdicts["recipient"], "that was asked before")
	b.write(t, "a", "delivered", "")
	asked := len(h.calls())
	require.Equal(t, "ok", diagnose(t, b, "79001234567").verdicts["recipient"])
	require.Len(t, h.calls(), asked, "a delivery says more")
}
