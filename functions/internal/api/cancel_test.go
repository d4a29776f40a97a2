package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
)

func TestCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id, _ := b.post(t, `{"to":"79001234567","type":"text","text":"x","clientRef":"7"}`).status(202).value("data", "messageId").(string)
	for range 2 { // twice is no error
		b.do(t, http.MethodDelete, "/messages/"+id, b.admin, "").status(200).golden("message-canceled")
	}
	require.Equal(t, 1, scan[int](t, b, `SELECT count(*) FROM events WHERE type = 'message.canceled'`))
	got := b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200)
	require.Equal(t, "canceled", got.value("data", "status"))
	require.Equal(t, "by_caller", got.value("data", "reason"))
}

func TestWhatIsSentCannotBeCanceled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id := b.sent(t)
	for _, status := range []message.Status{message.Sent, message.Delivered, message.Failed, message.Expired, message.Unconfirmed} {
		b.exec(t, `UPDATE messages SET status = $1`, string(status))
		a := b.do(t, http.MethodDelete, "/messages/"+id, b.admin, "").status(409).code("MESSAGE_NOT_CANCELABLE")
		require.Equal(t, string(status), a.value("error", "details", "status"))
	}
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM events`))
}

func TestCancelLooksAtOwnMessagesOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	own, other := "962302", "other"
	id, _ := b.post(t, `{"to":"79001234567","type":"text","text":"x"}`).status(202).value("data", "messageId").(string)
	b.do(t, http.MethodDelete, "/messages/"+id, b.key(t, &other, "send"), "").status(404).code("NOT_FOUND")
	b.do(t, http.MethodDelete, "/messages/"+id, b.key(t, &own, "read"), "").status(403)
	b.do(t, http.MethodDelete, "/messages/"+id+"?companyId=962302", b.key(t, &other, "send"), "").status(403)
	b.do(t, http.MethodDelete, "/messages/"+b.incoming(t, "79001234567", "79001234567"), b.admin, "").status(404)
	require.Equal(t, "accepted", scan[string](t, b, `SELECT status FROM messages WHERE direction = 'outgoing'`))
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // the host
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, _ = b.pool.Exec(t.Context(), `UPDATE messages SET status = 'sent', sent_at = now(), body = '' WHERE status = 'accepted'`)
		}
	}()
	for path, body := range map[string]string{"/send": hello, "/messages": `{"companyId":"962302","to":"79001234567","type":"text","text":"x"}`} {
		a := b.do(t, http.MethodPost, path, b.admin, body, "Prefer", "respond-async, wait=10")
		require.Equal(t, "sent", a.value("data", "status"), a.Body.String())
	}
	close(stop)
	<-done

	start := time.Now()
	a := b.do(t, http.MethodPost, "/send", b.admin, hello, "Prefer", "wait=1").status(200)
	require.Equal(t, "accepted", a.value("data", "status"))
	require.Greater(t, time.Since(start), 900*time.Millisecond)
	for _, ignored := range []string{"wait=0", "wait=x", "wait", "wait=-9", "waiting=9"} {
		start = time.Now()
		require.Equal(t, "accepted", b.do(t, http.MethodPost, "/send", b.admin, hello, "Prefer", ignored).status(200).value("data", "status"))
		require.Less(t, time.Since(start), 5*time.Second, ignored)
	}
}
