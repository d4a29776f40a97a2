package store_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// optOut is a message by which its sender wants to hear no more.
func optOut(text, phone, lid string) store.Arrival {
	a := arrival()
	a.ID, a.Phone, a.Event.Text = uuid.New(), phone, text
	a.Event.From = message.Contact{Phone: phone, LID: lid}
	return a
}

// suppressed lists who is, as address → person.
func (f *fixture) suppressed(t *testing.T) map[string]string {
	t.Helper()
	rows, err := f.pool.Query(t.Context(), `SELECT address, person FROM suppressions WHERE company_id = $1 AND source = 'message'`, company)
	require.NoError(t, err)
	defer rows.Close()
	found := make(map[string]string)
	for rows.Next() {
		var address, person string
		require.NoError(t, rows.Scan(&address, &person))
		found[address] = person
	}
	require.NoError(t, rows.Err())
	return found
}

func TestAnOptOutSuppressesItsSender(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.configure(t, `{"greetingMessage": "`+greeting+`"}`)
	a := optOut(" стоп\n", "79005550011", "1234")
	a.GreetTo = a.Phone
	fresh, _, err := f.Receive(t.Context(), f.fence, a)
	require.NoError(t, err)
	require.True(t, fresh)
	require.Equal(t, map[string]string{"79005550011": "79005550011", "1234@lid": "79005550011"}, f.suppressed(t))
	require.Equal(t, true, f.events(t, company, 0)[0].data["suppressed"], "the event says so")
	require.Empty(t, f.greetings(t), "who says stop is not greeted")

	late := optOut("hello", "79005550011", "1234")
	late.GreetTo = late.Phone
	_, _, err = f.Receive(t.Context(), f.fence, late)
	require.NoError(t, err)
	require.Empty(t, f.greetings(t), "and not later either")
	require.NotContains(t, f.events(t, company, 1)[0].data, "suppressed")

	// Lifted by the company, it stays lifted although the message comes again.
	lifted, err := f.Queries().LiftSuppression(t.Context(), f.pool, db.LiftSuppressionParams{CompanyID: company, Address: "1234@lid"})
	require.NoError(t, err)
	require.EqualValues(t, 2, lifted, "the person, under every address")
	fresh, _, err = f.Receive(t.Context(), f.fence, a)
	require.NoError(t, err)
	require.False(t, fresh)
	require.Empty(t, f.suppressed(t))
	late = optOut("hello again", "79005550011", "1234")
	late.GreetTo = late.Phone
	_, _, err = f.Receive(t.Context(), f.fence, late)
	require.NoError(t, err)
	require.Empty(t, f.greetings(t), "a known contact by now")
}

func TestWhatIsNoOptOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	group := optOut("STOP", "79005550011", "1234")
	group.Chat = "120363000000000000@g.us"
	caption := optOut("STOP", "79005550011", "1234")
	caption.Event.Kind = "image"
	for name, a := range map[string]store.Arrival{
		"to a group": group, "no text": caption, "more than the word": optOut("please stop", "79005550011", "1234"),
	} {
		_, _, err := f.Receive(t.Context(), f.fence, a)
		require.NoError(t, err, name)
	}
	require.Empty(t, f.suppressed(t))

	_, _, err := f.Receive(t.Context(), f.fence, optOut("STOP", "", "77")) // of an unknown number
	require.NoError(t, err)
	_, _, err = f.Receive(t.Context(), f.fence, optOut("STOP", "79005550022", "77")) // which is known now
	require.NoError(t, err)
	_, _, err = f.Receive(t.Context(), f.fence, optOut("STOP", "", "77")) // and was not told this time
	require.NoError(t, err)
	require.Equal(t, map[string]string{"77@lid": "79005550022", "79005550022": "79005550022"}, f.suppressed(t))
}

// An opt-out under a lost lease is written together with its message or not at all.
func TestAnOptOutIsPartOfTheMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stale := f.fence
	f.fence = f.take(t, 0, "host-b")
	_, _, err := f.Receive(t.Context(), stale, optOut("STOP", "79005550011", "1234"))
	require.ErrorIs(t, err, store.ErrFenced)
	require.Empty(t, f.suppressed(t))
}

// What was queued before the opt-out cannot be claimed any more, neither alone nor as the next one of an outbox.
func TestASuppressedRecipientIsNotClaimed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.put(t, outgoing{id: "m1", status: "queued"})
	f.put(t, outgoing{id: "m2", status: "queued"})
	f.put(t, outgoing{id: "m3", status: "sending"})
	_, err := f.Queries().AddSuppression(t.Context(), f.pool, db.AddSuppressionParams{CompanyID: company, Address: "79001234567"})
	require.NoError(t, err)

	require.ErrorIs(t, f.Begin(t.Context(), f.fence, attempt("m1")), store.ErrNotMoved)
	next := attempt("m2")
	begun, _, err := f.Advance(t.Context(), f.fence, store.Move{CompanyID: company, MessageID: "m3", To: message.Sent}, store.Subject{}, &next)
	require.NoError(t, err)
	require.False(t, begun)
	require.Equal(t, message.Queued, f.status(t, "m2"))
	require.Equal(t, message.Sent, f.status(t, "m3"), "what is in hand is concluded")

	page, err := f.Queries().PeekOutbox(t.Context(), f.pool, db.PeekOutboxParams{CompanyID: company, PageSize: 10})
	require.NoError(t, err)
	require.Len(t, page, 2)
	for _, row := range page {
		require.True(t, row.Suppressed)
	}
	known, err := f.Queries().PrepareSend(t.Context(), f.pool, db.PrepareSendParams{CompanyID: company, Recipient: "79001234567"})
	require.NoError(t, err)
	require.True(t, known.Suppressed)
	known, err = f.Queries().PrepareSend(t.Context(), f.pool, db.PrepareSendParams{CompanyID: company, Recipient: "79001234568"})
	require.NoError(t, err)
	require.False(t, known.Suppressed)

	f.createCompany(t, "other")
	known, err = f.Queries().PrepareSend(t.Context(), f.pool, db.PrepareSendParams{CompanyID: "other", Recipient: "79001234567"})
	require.NoError(t, err)
	require.False(t, known.Suppressed, "each company has a list of its own")
}
