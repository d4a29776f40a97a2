package api_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

// shows answers live questions about chats in the place of a company's owner, and notes them.
type shows struct {
	mu    sync.Mutex
	asked []string
	fail  error
}

func (s *shows) answer(_ context.Context, _ rpc.Owner, q rpc.Question) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, q.CompanyID+" "+q.Kind+" "+string(q.Body))
	return struct{}{}, s.fail
}

func (s *shows) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	var s shows
	person, group, own := b.incoming(t, "2002", "2002"), b.incoming(t, "120363041234567890@g.us", "2002"), b.sent(t)
	b.attendWith(t, s.answer)

	b.do(t, http.MethodPost, "/messages/"+person+"/read", b.admin, "").status(200)
	b.do(t, http.MethodPost, "/messages/"+group+"/read", b.admin, "").status(200)
	require.Equal(t, []string{
		`962302 chat.read {"chat":"79001234567","sender":"2002@lid","waMessageId":"3AFF"}`,
		`962302 chat.read {"chat":"120363041234567890@g.us","sender":"2002@lid","waMessageId":"3AFF"}`,
	}, s.take())

	b.do(t, http.MethodPost, "/messages/"+own+"/read", b.admin, "").status(400).code("VALIDATION_ERROR")
	b.do(t, http.MethodPost, "/messages/in_nothing/read", b.admin, "").status(404).code("NOT_FOUND")
	b.company(t, "other", session.Connected)
	other := "other"
	b.do(t, http.MethodPost, "/messages/"+person+"/read", b.key(t, &other, "send"), "").status(404).code("NOT_FOUND")
	b.do(t, http.MethodPost, "/messages/"+person+"/read", b.key(t, &other, "read"), "").status(403)
	require.Empty(t, s.take())
}

func TestShowTyping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	var s shows
	b.attendWith(t, s.answer)
	typing := func(chat, body string) answer {
		t.Helper()
		return b.do(t, http.MethodPost, "/chats/"+chat+"/typing", b.admin, strings.Replace(body, "{", `{"companyId":"962302"`, 1))
	}
	typing("+79001234567", `{}`).status(200)
	typing("1@lid", `{,"state":"recording"}`).status(200)
	typing("120363041234567890@g.us", `{,"state":"paused"}`).status(200)
	require.Equal(t, []string{
		`962302 chat.typing {"chat":"79001234567","state":"composing"}`,
		`962302 chat.typing {"chat":"1@lid","state":"recording"}`,
		`962302 chat.typing {"chat":"120363041234567890@g.us","state":"paused"}`,
	}, s.take())

	require.Equal(t, "phone", typing("Anna", `{}`).status(400).value("error", "details", "field"))
	require.Equal(t, "state", typing("79001234567", `{,"state":"thinking"}`).status(400).value("error", "details", "field"))
	require.Equal(t, "colour", typing("79001234567", `{,"colour":1}`).status(400).value("error", "details", "field"))
	require.Empty(t, s.take())

	s.fail = rpc.ErrWhatsApp
	typing("79001234567", `{}`).status(502).code("PROVIDER_ERROR")
	s.fail = rpc.ErrOffline
	typing("79001234567", `{}`).status(409).code("SESSION_ERROR")
	b.setState(t, "962302", session.Reconnecting)
	require.Equal(t, true, typing("79001234567", `{}`).status(409).value("error", "isRetryable"))
	b.setState(t, "962302", session.LoggedOut)
	require.Equal(t, false, typing("79001234567", `{}`).status(409).value("error", "isRetryable"))
}

func TestNobodyIsThereToShowTyping(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.do(t, http.MethodPost, "/chats/79001234567/typing", b.admin, `{"companyId":"962302"}`).status(503).code("CONNECTION_ERROR")
}
