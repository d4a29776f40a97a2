package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

// post sends a message; the body gets the company.
func (b *bundle) post(t *testing.T, body string, headers ...string) answer {
	t.Helper()
	return b.do(t, http.MethodPost, "/messages", b.admin, strings.Replace(body, "{", `{"companyId":"962302",`, 1), headers...)
}

// accepted is the content of the message that was queued last.
func (b *bundle) accepted(t *testing.T) message.Content {
	t.Helper()
	queued := b.queued(t)
	require.NotEmpty(t, queued)
	envelope, err := message.DecodeEnvelope(queued[len(queued)-1].Body)
	require.NoError(t, err)
	text, err := b.vault.Open(t.Context(), envelope.CompanyID, message.BodyContext(envelope.MessageID), envelope.Body)
	require.NoError(t, err)
	c, err := message.DecodeContent(text)
	require.NoError(t, err)
	return c
}

func TestPostMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	a := b.post(t, `{"to":"+7 900 123-45-67","type":"text","text":"hi","clientRef":"order-17"}`).status(202).golden("message-posted")
	id, _ := a.value("data", "messageId").(string)
	require.Equal(t, "/api/whatsapp/messages/"+id, a.Header().Get("Location"))
	require.Equal(t, "79001234567/order-17/0/1 day", scan[string](t, b,
		`SELECT phone || '/' || client_ref || '/' || lane || '/' || (expires_at - due_at) FROM messages`))
	require.Equal(t, "order-17", b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200).value("data", "clientRef"))
}

func TestEveryKindThatIsTaken(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	for body, want := range map[string]message.Content{
		`{"to":"120363041234567890@g.us","type":"text","text":"hi","mentions":["+7 900 123-45-67"]}`: {
			Kind: message.Text, Text: "hi", Mentions: []string{"79001234567"},
		},
		`{"to":"1@lid","type":"location","latitude":0,"longitude":-180,"name":"here","address":"there"}`: {
			Kind: message.Location, Location: &message.Place{Longitude: -180, Name: "here", Address: "there"},
		},
		`{"to":"79001234567","type":"contact","contact":{"name":"Anna","phone":"+7 900 765-43-21"}}`: {
			Kind: message.ContactCard, Contact: &message.VisitingCard{Name: "Anna", Phone: "79007654321"},
		},
		`{"to":"79001234567","type":"poll","question":"Tea?","options":["yes","no"],"maxChoices":1}`: {
			Kind: message.Poll, Text: "Tea?", Poll: &message.PollOptions{Options: []string{"yes", "no"}, MaxChoices: 1},
		},
	} {
		b.post(t, body).status(202)
		require.Equal(t, want, b.accepted(t))
	}
}

func TestPostMessageRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	text := func(rest string) string { return `{"to":"79001234567","type":"text","text":"x",` + rest + `}` }
	options := `["` + strings.Join(strings.Split("abcdefghijklm", ""), `","`) + `"]`
	for name, tc := range map[string]struct{ body, field string }{ //nolint:paralleltest // what they leave is looked at afterwards
		"no type":               {`{"to":"79001234567","text":"x"}`, "type"},
		"unknown type":          {`{"to":"79001234567","type":"fax","text":"x"}`, "type"},
		"received only":         {`{"to":"79001234567","type":"unsupported","text":"x"}`, "type"},
		"no recipient":          {`{"type":"text","text":"x"}`, "to"},
		"nobody":                {`{"to":"Anna","type":"text","text":"x"}`, "to"},
		"another server":        {`{"to":"1@broadcast","type":"text","text":"x"}`, "to"},
		"empty text":            {`{"to":"79001234567","type":"text","text":" "}`, "text"},
		"no text":               {`{"to":"79001234567","type":"text"}`, "text"},
		"long text":             {`{"to":"79001234567","type":"text","text":"` + strings.Repeat("я", 4097) + `"}`, "text"},
		"caption of a text":     {text(`"caption":"x"`), "caption"},
		"place of a text":       {text(`"latitude":1`), "latitude"},
		"file of a text":        {text(`"mediaUrl":"https://example.com"`), "mediaUrl"},
		"emoji of a text":       {text(`"emoji":"x"`), "emoji"},
		"text of a poll":        {`{"to":"79001234567","type":"poll","text":"x","options":["a","b"]}`, "text"},
		"latitude too large":    {`{"to":"79001234567","type":"location","latitude":90.5,"longitude":0}`, "latitude"},
		"latitude in words":     {`{"to":"79001234567","type":"location","latitude":"north","longitude":0}`, "latitude"},
		"no latitude":           {`{"to":"79001234567","type":"location","longitude":0}`, "latitude"},
		"no longitude":          {`{"to":"79001234567","type":"location","latitude":0}`, "longitude"},
		"no contact":            {`{"to":"79001234567","type":"contact"}`, "contact"},
		"contact without phone": {`{"to":"79001234567","type":"contact","contact":{"name":"Anna"}}`, "contact.phone"},
		"unknown part":          {`{"to":"79001234567","type":"contact","contact":{"name":"Anna","phone":"79001234567","x":1}}`, "contact.x"},
		"one option":            {`{"to":"79001234567","type":"poll","question":"?","options":["a"]}`, "options"},
		"13 options":            {`{"to":"79001234567","type":"poll","question":"?","options":` + options + `}`, "options"},
		"reaction to nothing":   {`{"to":"79001234567","type":"reaction","emoji":"👍"}`, "messageId"},
		"reaction of nothing":   {`{"to":"79001234567","type":"reaction","messageId":"3EB0"}`, "emoji"},
		"revoke of nothing":     {`{"to":"79001234567","type":"revoke"}`, "messageId"},
		"bad mention":           {text(`"mentions":["Anna"]`), "mentions"},
		"long reference":        {text(`"clientRef":"` + strings.Repeat("x", 513) + `"`), "clientRef"},
		"ttl of nothing":        {text(`"ttl":0`), "ttl"},
		"ttl too long":          {text(`"ttl":2592001`), "ttl"},
		"ttl in words":          {text(`"ttl":"1h"`), "ttl"},
		"sendAt in words":       {text(`"sendAt":"tomorrow"`), "sendAt"},
		"sendAt in the past":    {text(`"sendAt":"2020-01-01T00:00:00Z"`), "sendAt"},
		"sendAt too far":        {text(`"sendAt":"` + time.Now().Add(31*24*time.Hour).Format(time.RFC3339) + `"`), "sendAt"},
		"unknown priority":      {text(`"priority":"most"`), "priority"},
		"unknown field":         {text(`"colour":"red"`), "colour"},
	} {
		t.Run(name, func(t *testing.T) {
			a := b.post(t, tc.body).status(400).code("VALIDATION_ERROR")
			require.Equal(t, tc.field, a.value("error", "details", "field"), a.Body.String())
		})
	}
	require.Zero(t, scan[int](t, b, `SELECT count(*) FROM messages`))
}

func TestPostMessageBelongsToItsCompany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	other := "other"
	body := `{"to":"79001234567","type":"text","text":"x"}`
	b.do(t, http.MethodPost, "/messages", b.key(t, &other, "send"), strings.Replace(body, "{", `{"companyId":"962302",`, 1)).status(403).code("FORBIDDEN")
	b.do(t, http.MethodPost, "/messages", b.key(t, &other, "read"), body).status(403)
	b.do(t, http.MethodPost, "/messages", b.key(t, &other, "send"), body).status(202)
	require.Equal(t, "other", scan[string](t, b, `SELECT company_id FROM messages`))
}

func TestASchedule(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	at := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second)
	body := fmt.Sprintf(`{"to":"79001234567","type":"text","text":"x","sendAt":%q,"ttl":3600,"priority":"low"}`, at.Format(time.RFC3339))
	b.post(t, body, "Idempotency-Key", "1").status(202)
	require.True(t, at.Equal(scan[time.Time](t, b, `SELECT due_at FROM messages`)))
	require.Equal(t, "01:00:00/1", scan[string](t, b, `SELECT (expires_at - due_at) || '/' || lane FROM messages`), "the ttl counts from sendAt")

	b.exec(t, `UPDATE messages SET due_at = now() - interval '1 hour'`)
	require.Equal(t, "true", b.post(t, body, "Idempotency-Key", "1").status(202).Header().Get("Idempotent-Replayed"))
	b.post(t, strings.Replace(body, "3600", "3601", 1), "Idempotency-Key", "1").status(409).code("IDEMPOTENCY_CONFLICT")
}

// A repeated call is answered as the first one, even when its time has come and gone meanwhile.
func TestARepeatedScheduleIsNotLate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	at := time.Now().Add(2 * time.Second)
	body := fmt.Sprintf(`{"to":"79001234567","type":"text","text":"x","sendAt":%q}`, at.Format(time.RFC3339Nano))
	b.post(t, body, "Idempotency-Key", "1").status(202)
	<-time.After(time.Until(at))
	b.post(t, body).status(400) // without the key it is a new message, and late
	b.post(t, body, "Idempotency-Key", "1").status(202)
}

func TestOnlyAMessageWithATTLWaitsForTheUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.LoggedOut)
	b.post(t, `{"to":"79001234567","type":"text","text":"x"}`).status(409).code("MESSAGE_SEND_ERROR")
	b.post(t, `{"to":"79001234567","type":"text","text":"x","ttl":60}`).status(202)
}

func TestPostMessageIsIdempotent(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	body := `{"to":"79001234567","type":"text","text":"x","clientRef":"1"}`
	first := b.post(t, body, "Idempotency-Key", "k").status(202)
	again := b.post(t, strings.Replace(body, "79001234567", "+7 900 123 45 67", 1), "Idempotency-Key", "k").status(202)
	require.Equal(t, first.Body.String(), again.Body.String())
	require.Equal(t, "true", again.Header().Get("Idempotent-Replayed"))
	for _, other := range []string{
		strings.Replace(body, `"1"`, `"2"`, 1), strings.Replace(body, "79001234567", "79001234568", 1), strings.Replace(body, `"x"`, `"y"`, 1),
	} {
		b.post(t, other, "Idempotency-Key", "k").status(409).code("IDEMPOTENCY_CONFLICT")
	}
}

// sent has a text sent to Anna and returns its id.
func (b *bundle) sent(t *testing.T) string {
	t.Helper()
	id, _ := b.post(t, `{"to":"79001234567","type":"text","text":"see you at 10"}`).status(202).value("data", "messageId").(string)
	envelope, err := message.DecodeEnvelope(b.queued(t)[0].Body)
	require.NoError(t, err)
	b.exec(t, `UPDATE messages SET status = 'sent', sent_at = now(), body = $2 WHERE message_id = $1`, id, envelope.Body)
	return id
}

// incoming stores a message of Anna's and returns its id.
func (b *bundle) incoming(t *testing.T, chat, sender string) string {
	t.Helper()
	b.exec(t, `UPDATE shard_lease SET host_id = 'h1', term = gen_random_uuid(), expires_at = now() + interval '1 hour' WHERE shard = 1`)
	fence := store.Fence{Shard: 1, Term: scan[uuid.UUID](t, b, `SELECT term FROM shard_lease WHERE shard = 1`), HostID: "h1"}
	id := uuid.New()
	_, _, err := b.store.Receive(t.Context(), fence, store.Arrival{
		CompanyID: "962302", ID: id, WAMessageID: "3AFF", Phone: "79001234567", Chat: chat, Sender: sender,
		SentAt: time.Now(), Event: message.Incoming{Said: message.Said{Kind: message.Text, Text: "when?"}},
	})
	require.NoError(t, err)
	return store.IncomingID(id)
}

func TestAReplyShowsWhatItAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	own, theirs := b.sent(t), b.incoming(t, "2002", "2002")
	b.post(t, `{"to":"79001234567","type":"text","text":"ok","replyTo":"`+own+`"}`).status(202)
	require.Equal(t, &message.Ref{
		MessageID: own, WAMessageID: own, FromMe: true, Chat: "79001234567", Sender: "79686484488", Kind: message.Text, Text: "see you at 10",
	}, b.accepted(t).ReplyTo)

	for _, to := range []string{"79001234567", "2002@lid"} {
		b.post(t, `{"to":"`+to+`","type":"location","latitude":1,"longitude":2,"replyTo":"`+theirs+`"}`).status(202)
		require.Equal(t, &message.Ref{
			MessageID: theirs, WAMessageID: "3AFF", Chat: "79001234567", Sender: "2002@lid", Kind: message.Text, Text: "when?",
		}, b.accepted(t).ReplyTo)
	}
	require.Equal(t, "replyTo", b.post(t, `{"to":"79007777777","type":"text","text":"ok","replyTo":"`+own+`"}`).status(400).value("error", "details", "field"))
	require.Equal(t, "replyTo", b.post(t, `{"to":"79001234567","type":"text","text":"ok","replyTo":"3EB0"}`).status(404).value("error", "details", "field"))
}

func TestWhatIsSaidOfAnotherMessage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	own, theirs := b.sent(t), b.incoming(t, "79001234567", "79001234567")
	group := b.incoming(t, "120363041234567890@g.us", "2002")
	for body, want := range map[string]message.Content{
		`{"type":"reaction","messageId":"` + theirs + `","emoji":"👍"}`: {
			Kind: message.Reaction, Text: "👍",
			Target: &message.Ref{MessageID: theirs, WAMessageID: "3AFF", Chat: "79001234567", Sender: "79001234567"},
		},
		`{"type":"reaction","messageId":"` + group + `","emoji":""}`: {
			Kind:   message.Reaction,
			Target: &message.Ref{MessageID: group, WAMessageID: "3AFF", Chat: "120363041234567890@g.us", Sender: "2002@lid"},
		},
		`{"type":"edit","to":"79001234567","messageId":"` + own + `","text":"see you at 11"}`: {
			Kind: message.Edit, Text: "see you at 11",
			Target: &message.Ref{MessageID: own, WAMessageID: own, FromMe: true, Chat: "79001234567", Sender: "79686484488"},
		},
		`{"type":"revoke","messageId":"` + own + `"}`: {
			Kind:   message.Revoke,
			Target: &message.Ref{MessageID: own, WAMessageID: own, FromMe: true, Chat: "79001234567", Sender: "79686484488"},
		},
	} {
		id, _ := b.post(t, body).status(202).value("data", "messageId").(string)
		require.Equal(t, want, b.accepted(t), body)
		require.Equal(t, want.Target.Chat, scan[string](t, b, `SELECT phone FROM messages WHERE message_id = $1`, id))
	}

	refused := func(body string) {
		t.Helper()
		require.Equal(t, "messageId", b.post(t, body).status(400).value("error", "details", "field"))
	}
	refused(`{"type":"edit","messageId":"` + theirs + `","text":"x"}`)
	refused(`{"type":"revoke","messageId":"` + theirs + `"}`)
	refused(`{"type":"reaction","to":"79007777777","messageId":"` + own + `","emoji":"👍"}`)
	b.exec(t, `UPDATE messages SET sent_at = now() - interval '16 minutes' WHERE message_id = $1`, own)
	refused(`{"type":"edit","messageId":"` + own + `","text":"x"}`)
	b.exec(t, `UPDATE messages SET status = 'failed' WHERE message_id = $1`, own)
	refused(`{"type":"reaction","messageId":"` + own + `","emoji":"👍"}`)
	b.exec(t, `UPDATE messages SET status = 'queued', sent_at = NULL, due_at = now() + interval '1 hour' WHERE message_id = $1`, own)
	refused(`{"type":"revoke","messageId":"` + own + `"}`)
	b.post(t, `{"type":"revoke","messageId":"3EB0"}`).status(404).code("NOT_FOUND")
}

// Another company's message is none at all.
func TestAForeignMessageCannotBeSpokenOf(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	b.company(t, "other", session.Connected)
	own, other := b.sent(t), "other"
	for _, body := range []string{
		`{"type":"revoke","messageId":"` + own + `"}`, `{"to":"79001234567","type":"text","text":"x","replyTo":"` + own + `"}`,
	} {
		b.do(t, http.MethodPost, "/messages", b.key(t, &other, "send"), body).status(404).code("NOT_FOUND")
	}
}

func TestContentIsToldInFull(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.company(t, "962302", session.Connected)
	own := b.sent(t)
	for body, want := range map[string]string{
		`{"to":"79001234567","type":"poll","question":"?","options":["a","b"],"replyTo":"` + own + `"}`: `{"text":"?","options":["a","b"],"maxChoices":0,"replyTo":"` + own + `"}`,
		`{"to":"1@lid","type":"contact","contact":{"name":"Anna","phone":"79001234567"}}`:               `{"contact":{"name":"Anna","phone":"79001234567"}}`,
		`{"to":"1@lid","type":"location","latitude":1,"longitude":2}`:                                   `{"location":{"latitude":1,"longitude":2}}`,
		`{"type":"reaction","messageId":"` + own + `","emoji":"👍"}`:                                     `{"text":"👍","messageId":"` + own + `"}`,
	} {
		id, _ := b.post(t, body).status(202).value("data", "messageId").(string)
		queued := b.queued(t)
		envelope, err := message.DecodeEnvelope(queued[len(queued)-1].Body)
		require.NoError(t, err)
		b.exec(t, `UPDATE messages SET body = $2 WHERE message_id = $1`, id, envelope.Body)
		content, err := json.Marshal(b.do(t, http.MethodGet, "/messages/"+id, b.admin, "").status(200).value("data", "content"))
		require.NoError(t, err)
		require.JSONEq(t, want, string(content))
	}
}
