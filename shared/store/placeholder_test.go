package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// undecryptable is the placeholder of an arrival.
func undecryptable(a store.Arrival) store.Arrival {
	a.ID, a.Digest = a.Placeholder, nil
	a.Event.Said = message.Said{Kind: message.Undecryptable, Reason: "waiting_for_sender"}
	return a
}

func (f *fixture) row(t *testing.T, id uuid.UUID) db.Message {
	t.Helper()
	row, err := f.Queries().GetMessage(t.Context(), f.pool, db.GetMessageParams{CompanyID: company, MessageID: store.IncomingID(id)})
	require.NoError(t, err)
	return row
}

func (f *fixture) said(t *testing.T, row db.Message) message.Said {
	t.Helper()
	plain, err := f.vault.Open(t.Context(), company, message.BodyContext(row.MessageID), row.Body)
	require.NoError(t, err)
	said, err := message.DecodeSaid(plain)
	require.NoError(t, err)
	return said
}

// A message that could not be decrypted keeps the id that it was shown under when it can be; each is told of once.
func TestAPlaceholderBecomesItsMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "all")
	a := arrival()
	receive := func(a store.Arrival) (bool, int) {
		fresh, deliveries, err := f.Receive(t.Context(), f.fence, a)
		require.NoError(t, err)
		return fresh, len(deliveries)
	}
	for _, want := range []bool{true, false} { // asked again and again, it is one placeholder
		fresh, told := receive(undecryptable(a))
		require.Equal(t, want, fresh)
		require.Equal(t, want, told == 1)
	}
	require.Equal(t, "undecryptable", f.row(t, a.Placeholder).Kind)
	for _, want := range []bool{true, false} { // redelivered, it is one message
		fresh, told := receive(a)
		require.Equal(t, want, fresh)
		require.Equal(t, want, told == 1)
	}
	fresh, _ := receive(undecryptable(a))
	require.False(t, fresh, "what is known is not forgotten again")

	row := f.row(t, a.Placeholder)
	require.Equal(t, "text", row.Kind)
	require.Equal(t, "hello", f.said(t, row).Text)
	require.Contains(t, string(row.Trace), "waiting_for_sender")
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM messages`))
	events := f.events(t, company, 0)
	require.Len(t, events, 2)
	require.NotEqual(t, events[0].id, events[1].id)
	require.Equal(t, store.IncomingID(a.Placeholder), events[0].data["messageId"])
	require.Equal(t, store.IncomingID(a.Placeholder), events[1].data["messageId"])
	require.Equal(t, "text", events[1].data["type"])

	other := a // other content under the same id of WhatsApp's is another message
	other.ID, other.Digest = uuid.New(), []byte("other")
	fresh, _ = receive(other)
	require.True(t, fresh)
	require.Equal(t, 2, f.count(t, `SELECT count(*) FROM messages`))
}

// An edit changes what a message says, and leaves a step in its trace; only together with the edit itself, and once.
func TestAmend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := arrival()
	_, _, err := f.Receive(t.Context(), f.fence, first)
	require.NoError(t, err)
	id := store.IncomingID(first.ID)

	edit := arrival()
	edit.Event.Said = message.Said{Kind: message.Edit, Text: "better", Target: &message.Reference{MessageID: id, WAMessageID: "3A01"}}
	edit.Amends = &store.Amendment{MessageID: id, Status: "edited", Said: &message.Said{Kind: message.Text, Text: "better", Original: "hello"}}
	revoke := arrival()
	revoke.Event.Said = message.Said{Kind: message.Revoke, Target: edit.Event.Target}
	revoke.Amends = &store.Amendment{MessageID: id, Status: "revoked"}
	for _, a := range []store.Arrival{edit, edit, revoke, revoke} {
		_, _, err := f.Receive(t.Context(), f.fence, a)
		require.NoError(t, err)
	}
	row := f.row(t, first.ID)
	require.Equal(t, message.Said{Kind: message.Text, Text: "better", Original: "hello"}, f.said(t, row), "a revoke leaves the content")
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM messages WHERE kind = 'text' AND jsonb_array_length(trace) = 3
		AND trace->1->>'status' = 'edited' AND trace->2->>'status' = 'revoked'`))
	var kinds []string
	for _, e := range f.events(t, company, 0) {
		kinds = append(kinds, e.kind)
	}
	require.Equal(t, []string{"message.received", "message.edited", "message.revoked"}, kinds)
}

// A file is stored as a reference that only its company's key opens, and fetched at once where the company wants that.
func TestAFileIsKeptByReference(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wanted := 0
	attach := func() store.Arrival {
		a := arrival()
		a.Event.Said = message.Said{Kind: message.Image, Media: &message.Media{MimeType: "image/png", Size: 5}}
		a.File, a.Wanted = []byte(`{"key":"secret"}`), func() { wanted++ }
		return a
	}
	a := attach()
	for range 2 {
		_, _, err := f.Receive(t.Context(), f.fence, a)
		require.NoError(t, err)
	}
	require.Empty(t, a.Event.Media.ID, "the caller's is left alone")
	id := "med_" + a.ID.String()
	require.Equal(t, id, f.said(t, f.row(t, a.ID)).Media.ID)
	require.Zero(t, wanted)
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM received_media WHERE media_id = '`+id+`' AND state = 'known' AND mime_type = 'image/png'`))
	var sealed []byte
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT sealed_reference FROM received_media`).Scan(&sealed))
	require.NotContains(t, string(sealed), "secret")
	plain, err := f.vault.Open(t.Context(), company, store.MediaContext(id), sealed)
	require.NoError(t, err)
	require.Equal(t, string(a.File), string(plain))

	f.exec(t, `UPDATE companies SET whatsapp_config = '{"autoDownload": true}'`)
	_, _, err = f.Receive(t.Context(), f.fence, attach())
	require.NoError(t, err)
	require.Equal(t, 1, wanted)
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM received_media WHERE state = 'wanted'`))
}
