package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

func TestGetMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id, _ := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200).value("data", "messageId").(string)
	b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200).golden("message-accepted")

	// As a host does: the sealed body arrives, the message goes out.
	envelope, err := message.DecodeEnvelope(b.queued(t)[0].Body)
	require.NoError(t, err)
	b.exec(t, `UPDATE messages SET body = $1, status = 'sent', sent_at = now(), attempt = 1,
		trace = trace || '[{"status":"queued","at":"2025-09-19T10:30:00Z","host":"h1"},
			{"status":"sending","at":"2025-09-19T10:30:01Z","host":"h1","attempt":1},{"status":"sent","at":"2025-09-19T10:30:02Z","host":"h1"}]'`, envelope.Body)
	b.do(t, http.MethodGet, "/messages/"+id+"?companyId=962302", b.admin, "").status(200).golden("message-sent")
}

func TestGetIncomingMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', term = gen_random_uuid(), expires_at = now() + interval '1 hour' WHERE shard = 1`)
	fence := store.Fence{Shard: 1, Term: scan[uuid.UUID](t, b, `SELECT term FROM shard_lease WHERE shard = 1`), HostID: "h1"}
	id := uuid.MustParse("11111111-1111-5111-8111-111111111111")
	_, _, err := b.store.Receive(t.Context(), fence, store.Arrival{
		CompanyID: "962302", ID: id, WAMessageID: "3AFF", Phone: "79001234567", Chat: "12345", Sender: "12345", SenderName: "Anna",
		SentAt: time.Now(), Event: message.Incoming{Said: message.Said{Kind: message.Text, Text: "hi there"}},
	})
	require.NoError(t, err)
	b.do(t, http.MethodGet, "/messages/"+store.IncomingID(id), b.admin, "").status(200).golden("message-incoming")
}

// The messages of another company look like none at all, whatever key asks.
func TestAForeignMessageIsNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	id, _ := b.do(t, http.MethodPost, "/send", b.admin, hello).status(200).value("data", "messageId").(string)
	own, other := "962302", "other"

	b.do(t, http.MethodGet, "/messages/"+id, b.key(t, &own, "read"), "").status(200)
	foreign := b.do(t, http.MethodGet, "/messages/"+id, b.key(t, &other, "read"), "").status(404).golden("message-not-found")
	missing := b.do(t, http.MethodGet, "/messages/3EB0000000000000000000", b.key(t, &other, "read"), "").status(404)
	require.Equal(t, foreign.value("error", "message"), missing.value("error", "message"))
	b.do(t, http.MethodGet, "/messages/"+id+"?companyId=other", b.admin, "").status(404).code("NOT_FOUND")
	b.do(t, http.MethodGet, "/messages/"+id+"?companyId=962302", b.key(t, &other, "read"), "").status(403).code("FORBIDDEN")
	b.do(t, http.MethodGet, "/messages/nothing", b.admin, "").status(404).code("NOT_FOUND")
}

// Once a company's key is shredded, what its messages said is gone; that they were is not.
func TestAMessageWithoutItsKey(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id, _ := b.do(t, http.MethodPost, "/send", b.admin, hello).status(200).value("data", "messageId").(string)
	b.exec(t, `UPDATE messages SET body = 'sealed'`)
	b.exec(t, `DELETE FROM company_keys`)
	b.vault.Forget("962302")
	a := b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200)
	require.Nil(t, a.value("data", "content"))
	b.do(t, http.MethodPost, "/send", b.admin, hello).status(404).code("COMPANY_NOT_FOUND")
}

// A message that was put off tells until when and why; once it is sent that is over.
func TestAMessageThatWasPutOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	id, _ := b.do(t, http.MethodPost, "/send", b.admin, hello).status(200).value("data", "messageId").(string)
	require.Nil(t, b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200).value("data", "dueAt"))
	b.exec(t, `UPDATE messages SET due_at = '2099-01-02T03:04:05+02', reason = 'working_hours'`)
	a := b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200)
	require.Equal(t, "2099-01-02T01:04:05Z", a.value("data", "dueAt"))
	require.Equal(t, "working_hours", a.value("data", "reason"))
	b.exec(t, `UPDATE messages SET status = 'canceled'`)
	require.Nil(t, b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200).value("data", "dueAt"))
}
