package store_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
	"wafleet/shared/vault"
)

func arrival() store.Arrival {
	id := uuid.New()
	sentAt := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	return store.Arrival{
		CompanyID: company, ID: id, WAMessageID: "3A01", Phone: "79005550011", Chat: "1234@lid", Sender: "1234@lid", SenderName: "Anna",
		Digest: []byte("digest"), SentAt: sentAt, Placeholder: uuid.NewSHA1(id, []byte("placeholder")),
		Event: message.Incoming{WAMessageID: "3A01", Timestamp: sentAt, Said: message.Said{Kind: message.Text, Text: "hello"}},
	}
}

func TestReceive(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.endpoint(t, company, "all")
	a := arrival()

	fresh, deliveries, err := f.Receive(t.Context(), f.fence, a)
	require.NoError(t, err)
	require.True(t, fresh)
	require.Len(t, deliveries, 1)

	row, err := f.Queries().GetMessage(t.Context(), f.pool, db.GetMessageParams{CompanyID: company, MessageID: store.IncomingID(a.ID)})
	require.NoError(t, err)
	require.Equal(t, "incoming", row.Direction)
	require.Equal(t, "received", row.Status)
	require.Equal(t, a.Phone, row.Phone)
	require.Equal(t, a.Chat, row.Chat)
	require.Equal(t, "3A01", *row.WaMessageID)
	require.Equal(t, "Anna", *row.SenderName)
	require.True(t, a.SentAt.Equal(row.CreatedAt))
	require.Nil(t, row.Message, "the body is sealed, the predecessor's column stays empty")
	plain, err := f.vault.Open(t.Context(), company, message.BodyContext(row.MessageID), row.Body)
	require.NoError(t, err)
	said, err := message.DecodeSaid(plain)
	require.NoError(t, err)
	require.Equal(t, a.Event.Said, said)

	events := f.events(t, company, 0)
	require.Len(t, events, 1)
	require.Equal(t, a.ID, events[0].id)
	require.Equal(t, "message.received", events[0].kind)
	require.Equal(t, "hello", events[0].data["text"])
	require.Equal(t, store.IncomingID(a.ID), events[0].data["messageId"])
}

// WhatsApp delivers again whatever was not acked; copies may come over the old and the new socket at the same time.
func TestReceiveFoldsCopies(t *testing.T) {
	t.Parallel()
	const copies = 20
	f := newFixture(t, pgtest.MaxConns(copies))
	f.endpoint(t, company, "all")
	a := arrival()

	fresh, errs := make([]bool, copies), make([]error, copies)
	told := make([]int, copies)
	var wg sync.WaitGroup
	for i := range copies {
		wg.Go(func() {
			var deliveries []store.Delivery
			fresh[i], deliveries, errs[i] = f.Receive(t.Context(), f.fence, a)
			told[i] = len(deliveries)
		})
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
	firsts := 0
	for i := range copies {
		if fresh[i] {
			firsts++
			require.Equal(t, 1, told[i])
		} else {
			require.Zero(t, told[i])
		}
	}
	require.Equal(t, 1, firsts)
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM messages`))
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM events`))
	require.Equal(t, 1, f.count(t, `SELECT count(*) FROM webhook_deliveries`))
}

func TestReceiveIsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.contents(t)
	f.exec(t, `ALTER TABLE events ADD CONSTRAINT broken CHECK (type <> 'message.received')`)
	fresh, deliveries, err := f.Receive(t.Context(), f.fence, arrival())
	require.ErrorContains(t, err, "broken")
	require.False(t, fresh, "what was not stored is not fresh")
	require.Empty(t, deliveries)
	require.Equal(t, before, f.contents(t))
}

func TestReceiveForNobody(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := arrival()
	a.CompanyID = "nobody"
	_, _, err := f.Receive(t.Context(), f.fence, a)
	require.ErrorIs(t, err, vault.ErrNoKey)
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	require.NoError(t, f.Quarantine(t.Context(), f.fence, company, "message", "unparsable", []byte("poison")))
	var source, reason string
	var sealed []byte
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT source, reason, body FROM quarantine WHERE company_id = $1`, company).
		Scan(&source, &reason, &sealed))
	require.Equal(t, "message", source)
	require.Equal(t, "unparsable", reason)
	plain, err := f.vault.Open(t.Context(), company, "quarantine.body", sealed)
	require.NoError(t, err)
	require.Equal(t, "poison", string(plain))
	require.ErrorIs(t, f.Quarantine(t.Context(), f.fence, "nobody", "", "", nil), vault.ErrNoKey)
}
