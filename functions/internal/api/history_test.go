package api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

// receive stores an incoming message as a host does.
func receive(t *testing.T, b *bundle, company string, id uuid.UUID, from, chat message.Contact, said message.Said) {
	t.Helper()
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', term = coalesce(term, gen_random_uuid()), expires_at = now() + interval '1 hour' WHERE shard = 1`)
	fence := store.Fence{Shard: 1, Term: scan[uuid.UUID](t, b, `SELECT term FROM shard_lease WHERE shard = 1`), HostID: "h1"}
	address := chat.LID + chat.Group
	sender := from.LID
	_, _, err := b.store.Receive(t.Context(), fence, store.Arrival{
		CompanyID: company, ID: id, WAMessageID: "3AFF", Phone: from.Phone, Chat: address, Sender: sender, SenderName: from.Name,
		SentAt: time.Date(2025, 9, 19, 10, 30, 0, 0, time.UTC), Event: message.Incoming{From: from, Chat: chat, Said: said},
	})
	require.NoError(t, err)
}

var (
	annas  = message.Contact{Phone: "79001234567", LID: "12345", Name: "Anna"}
	number = func(n int) uuid.UUID { return uuid.MustParse(fmt.Sprintf("11111111-1111-5111-8111-%012d", n)) }
)

func text(words string) message.Said { return message.Said{Kind: message.Text, Text: words} }

// ids walks through a whole history by its cursor.
func (b *bundle) ids(t *testing.T, query string) (ids []string, pages int) {
	t.Helper()
	next := ""
	for {
		a := b.do(t, http.MethodGet, "/messages?companyId=962302&"+query+"&after="+next, b.admin, "").status(200)
		pages++
		data, _ := a.value("data").([]any)
		for _, m := range data {
			row, _ := m.(map[string]any)
			id, _ := row["messageId"].(string)
			ids = append(ids, id)
		}
		var more bool
		if next, more = a.value("next").(string); !more {
			return ids, pages
		}
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t, likeAFunction)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	b.do(t, http.MethodGet, "/messages?companyId=962302", b.admin, "").status(200).golden("messages-none")
	receive(t, b, "other", number(9), annas, annas, text("not yours"))
	receive(t, b, "962302", number(1), annas, annas, text("hi"))
	group := message.Contact{Group: "120363000000000001@g.us"}
	receive(t, b, "962302", number(2), annas, group, message.Said{Kind: message.Location, Location: &message.Position{Latitude: 1, Longitude: 2}})
	sent, _ := b.do(t, http.MethodPost, "/send", b.admin, hello, "Idempotency-Key", "1").status(200).value("data", "messageId").(string)
	b.exec(t, `INSERT INTO device_lids (company_id, lid, pn) VALUES ('962302', '12345', '79001234567')`)
	b.do(t, http.MethodGet, "/messages?companyId=962302&direction=incoming", b.admin, "").status(200).golden("messages")

	in1, in2 := store.IncomingID(number(1)), store.IncomingID(number(2))
	for query, want := range map[string][]string{
		"limit=1":                              {sent, in2, in1},
		"limit=3":                              {sent, in2, in1},
		"direction=outgoing":                   {sent},
		"direction=incoming&limit=1":           {in2, in1},
		"status=received":                      {in2, in1},
		"status=failed":                        nil,
		"phone=%2B7+900+123-45-67":             {sent, in1},
		"phone=12345@lid&limit=1":              {sent, in1},
		"phone=120363000000000001@g.us":        {in2},
		"phone=79001234567&status=received":    {in1},
		"phone=79001234567&direction=outgoing": {sent},
		"phone=79009999999":                    nil,
	} {
		got, _ := b.ids(t, query)
		require.Equal(t, want, got, query)
	}
}

// A filter that matches little must not read a whole history in one call.
func TestHistoryIsReadInSteps(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	insert := `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body)
		SELECT '962302', '79001234567', $1 || n, 'outgoing', $2, 1, 'text', '79001234567', NULL FROM generate_series(1, $3::int) AS n`
	b.exec(t, insert, "old", "failed", 3)
	b.exec(t, insert, "new", "canceled", 4500)
	for _, query := range []string{"status=failed", "status=failed&phone=79001234567"} {
		ids, pages := b.ids(t, query)
		require.Equal(t, []string{"old3", "old2", "old1"}, ids)
		require.Equal(t, 3, pages)
	}
	ids, _ := b.ids(t, "limit=200")
	require.Len(t, ids, 4503)
}

func TestHistoryRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	other := "other"
	b.company(t, other, session.Connected)
	for query, field := range map[string]string{
		"limit=0": "limit", "limit=201": "limit", "limit=x": "limit", "after=x": "after", "after=-1": "after", "direction=up": "direction",
		"status=lost": "status", "phone=1": "phone", "phone=anna": "phone", "phone=x@g.us": "phone", "phone=79001234567@s.whatsapp.net": "phone",
	} {
		a := b.do(t, http.MethodGet, "/messages?companyId=962302&"+query, b.admin, "").status(400).code("VALIDATION_ERROR")
		require.Contains(t, a.Body.String(), field, query)
	}
	b.do(t, http.MethodGet, "/messages?companyId=nobody", b.admin, "").status(404).code("COMPANY_NOT_FOUND")
	b.do(t, http.MethodGet, "/messages?companyId=962302", b.key(t, &other, "read"), "").status(403).code("FORBIDDEN")
	b.do(t, http.MethodGet, "/messages", b.key(t, &other, "send"), "").status(403).code("FORBIDDEN")
	b.do(t, http.MethodGet, "/messages", "", "").status(401)
}

// What was said is shown as events tell it, and the id of a file leads to it.
func TestTheWholeOfAnIncomingMessageIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	receive(t, b, "962302", number(1), annas, annas, message.Said{
		Kind: message.Image, Text: "look", Media: &message.Media{ID: "med_x", MimeType: "image/jpeg", Size: 5},
		ReplyTo: &message.Reference{MessageID: "3EB0AA", WAMessageID: "3EB0AA", FromMe: true},
	})
	b.do(t, http.MethodGet, "/messages/"+store.IncomingID(number(1)), b.admin, "").status(200).golden("message-incoming-image")
}
