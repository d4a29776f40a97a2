package wasim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

func TestMessagesWaitForACompanion(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.Disconnect()
	texts := []string{"one", "two", "three"}
	for _, text := range texts {
		_, err := b.SendText(t.Context(), boris, anna, text)
		require.NoError(t, err)
	}
	company.login(t)
	preview := await[*events.OfflineSyncPreview](t, company, nil)
	require.Equal(t, 3, preview.Messages)
	done := await[*events.OfflineSyncCompleted](t, company, nil)
	require.Equal(t, preview.Total, done.Count)
	var got []string
	company.mu.Lock()
	for _, event := range company.events {
		if m, ok := event.(*events.Message); ok {
			got = append(got, textOf(m.Message))
		}
	}
	company.mu.Unlock()
	require.Equal(t, texts, got, "in their order, before the notice that all came")
	requireEmptyBox(t, b, anna)
}

// requireEmptyBox waits until a companion has acknowledged everything.
func requireEmptyBox(t *testing.T, b *bundle, number string) {
	t.Helper()
	require.Eventually(t, func() bool {
		phone, err := b.Phone(number)
		return err == nil && phone.Companions[0].Waiting == 0
	}, patience, time.Millisecond)
}

func TestWhatIsNotAcknowledgedComesAgain(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	requireEmptyBox(t, b, anna)
	company.refuse.Store(true) // Its handler fails, so whatsmeow sends no receipt.
	_, err := b.SendText(t.Context(), boris, anna, "important")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		for _, row := range b.Journal(0, 0) {
			if row.Tag == "message" && row.Direction == "out" {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	company.Disconnect()
	company.refuse.Store(false)
	company.login(t)
	awaitIncoming(t, company, "important")
	requireEmptyBox(t, b, anna)
	company.Disconnect()
	company.login(t)
	await[*events.OfflineSyncCompleted](t, company, nil)
	require.Zero(t, count[*events.Message](company, nil), "acknowledged is done with")
}

func TestPhoneReceivesWhenItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	off := false
	b.phone(t, anna, "Anna")
	_, err := b.AddPhone(t.Context(), wasim.NewPhone{Phone: boris, Online: &off})
	require.NoError(t, err)
	company := b.pair(t, anna)
	id := company.text(t, boris, "when you are back")
	rows, err := b.Messages(boris)
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Zero(t, count(company, func(r *events.Receipt) bool { return r.MessageIDs[0] == id }))

	require.NoError(t, b.SetOnline(t.Context(), boris, true))
	b.awaitText(t, boris, "when you are back")
	await(t, company, func(r *events.Receipt) bool { return r.MessageIDs[0] == id })
}

func TestReceiptsOfPhones(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	quiet := false
	b.phone(t, anna, "Anna")
	_, err := b.AddPhone(t.Context(), wasim.NewPhone{Phone: boris, AutoDelivery: &quiet})
	require.NoError(t, err)
	company := b.pair(t, anna)
	first, second := company.text(t, boris, "a"), company.text(t, boris, "b")
	b.awaitText(t, boris, "b")
	require.NoError(t, b.SendReceipts(t.Context(), boris, "read", first, second))
	read := await[*events.Receipt](t, company, nil)
	require.Equal(t, types.ReceiptTypeRead, read.Type, "and no delivery receipt before it")
	require.Equal(t, []string{first, second}, read.MessageIDs)
	require.NoError(t, b.SendReceipts(t.Context(), boris, "played", first))
	await(t, company, func(r *events.Receipt) bool { return r.Type == types.ReceiptTypePlayed })
	require.ErrorIs(t, b.SendReceipts(t.Context(), boris, "read", "nothing"), wasim.ErrNotFound)
	require.ErrorIs(t, b.SendReceipts(t.Context(), boris, "seen", first), wasim.ErrInvalid)
}

func TestPhonesHearOfReceipts(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	id, err := b.SendText(t.Context(), boris, anna, "read me")
	require.NoError(t, err)
	came := awaitIncoming(t, company, "read me")
	require.NoError(t, company.MarkRead(t.Context(), []string{id}, time.Now(), came.Info.Chat, came.Info.Sender))
	require.Eventually(t, func() bool {
		receipts, err := b.Receipts(boris)
		require.NoError(t, err)
		for _, receipt := range receipts {
			if receipt.Type == "read" && receipt.FromDevice == 1 && receipt.IDs[0] == id {
				return true
			}
		}
		return false
	}, patience, time.Millisecond)
	b.noneUnhandled(t)
}

func TestResendUnderTheSameID(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	resend(t, company, "SAME", "hello")
	resend(t, company, "SAME", "hello")
	company.text(t, boris, "end")
	b.awaitText(t, boris, "end")
	rows, err := b.Messages(boris)
	require.NoError(t, err)
	require.Len(t, rows, 2, "the server folds them")
	require.Equal(t, uint64(1), b.Stats().Duplicates)

	_, err = b.AddFault(t.Context(), wasim.Fault{Kind: wasim.NoDedup})
	require.NoError(t, err)
	resend(t, company, "SAME", "hello")
	company.text(t, boris, "end 2")
	b.awaitText(t, boris, "end 2")
	rows, err = b.Messages(boris)
	require.NoError(t, err)
	require.Len(t, rows, 4)
	require.Equal(t, "SAME", rows[2].ID)
	require.True(t, rows[2].Duplicate)
	require.Equal(t, uint64(2), b.Stats().Duplicates)
}

func TestMessageToNobody(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	company := b.pair(t, anna)
	_, err := company.SendMessage(t.Context(), user("79990000000"), &waE2E.Message{Conversation: new("?")})
	require.ErrorIs(t, err, whatsmeow.ErrServerReturnedError)
}
