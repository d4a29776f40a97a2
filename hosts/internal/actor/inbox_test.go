package actor_test

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

func incoming(id, text string) actor.Incoming {
	digest := sha256.Sum256([]byte(text))
	return actor.Incoming{
		WAMessageID: id, Chat: message.Contact{Phone: "79001111111", LID: "2002"},
		Sender: message.Contact{Phone: "79001111111", LID: "2002", Name: "Anna"},
		Said:   message.Said{Kind: message.Text, Text: text}, Digest: digest[:],
		Timestamp: time.Now().UTC().Truncate(time.Second),
	}
}

func TestAnIncomingMessageIsStoredAndTold(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	in := incoming("ABCD", "hello")
	for range 3 { // redelivered, it is the same message
		require.NoError(t, c.Receive(t.Context(), in))
	}
	require.NoError(t, c.Receive(t.Context(), incoming("ABCD", "other text under the same id")))

	rows, err := b.store.Queries().ListEvents(t.Context(), b.store.Pool(), db.ListEventsParams{CompanyID: company, PageSize: 100})
	require.NoError(t, err)
	received := rows[len(rows)-2:]
	require.Equal(t, webhook.MessageReceived, received[0].Type)
	data, err := b.vault.Open(t.Context(), company, store.EventContext(received[0].ID), received[0].Data)
	require.NoError(t, err)
	var told message.Incoming
	require.NoError(t, json.Unmarshal(data, &told))
	require.Equal(t, message.Incoming{
		MessageID: "in_" + received[0].ID.String(), WAMessageID: "ABCD", From: in.Sender, Chat: in.Chat,
		Timestamp: in.Timestamp, Said: message.Said{Kind: message.Text, Text: "hello"},
	}, told)

	row := b.message(t, told.MessageID)
	require.Equal(t, "incoming", row.Direction)
	require.Equal(t, "79001111111", row.Phone)
	require.Nil(t, row.Message, "the text is stored sealed only")
	require.NotContains(t, string(row.Body), "hello")
}

func TestTheCompanysOwnPhoneIsNotItsCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	in := incoming("ABCD", "note to a customer")
	in.FromMe = true
	before := b.events(t)
	require.NoError(t, c.Receive(t.Context(), in))
	require.Equal(t, before, b.events(t))
}

// What the database will never take must not come back for ever: it is kept aside and acked.
func TestPoisonGoesToQuarantine(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	in := incoming("ABCD", "fine text")
	in.Sender.Phone = strings.Repeat("9", 100) // longer than the column
	require.NoError(t, c.Receive(t.Context(), in))
	var reason string
	var body []byte
	err := b.store.Pool().QueryRow(t.Context(), `SELECT reason, body FROM quarantine WHERE company_id = $1`, company).Scan(&reason, &body)
	require.NoError(t, err)
	require.Contains(t, reason, "22001")
	plain, err := b.vault.Open(t.Context(), company, "quarantine.body", body)
	require.NoError(t, err)
	require.Contains(t, string(plain), "fine text")
	require.NoError(t, c.Receive(t.Context(), incoming("EFGH", "the next one goes through")))
}

func TestWithoutPostgresNothingIsAcked(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	_, err := b.store.Pool().Exec(t.Context(), `ALTER TABLE events RENAME TO away`)
	require.NoError(t, err)
	handled := make(chan error, 1)
	go func() { handled <- c.Receive(t.Context(), incoming("ABCD", "patience")) }()
	select {
	case err := <-handled:
		require.FailNow(t, "answered without storing", "%v", err)
	case <-time.After(300 * time.Millisecond):
	}
	_, err = b.store.Pool().Exec(t.Context(), `ALTER TABLE away RENAME TO events`)
	require.NoError(t, err)
	require.NoError(t, <-handled, "stored as soon as that was possible")
}

func TestARetryReceiptIsAnsweredFromTheOutbox(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	id := b.accept(t, "79001111111", "hi")
	b.awaitStatus(t, id, message.Sent)
	require.Equal(t, "wire:hi", string(c.Wire(t.Context(), id)))
	require.Nil(t, c.Wire(t.Context(), "unknown"))
}
