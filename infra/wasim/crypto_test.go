package wasim_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

func TestPhoneAsksForWhatItCannotDecrypt(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.text(t, boris, "first")
	b.awaitText(t, boris, "first")

	damaged, err := company.store.damage(boris, lidOf(t, b, boris))
	require.NoError(t, err)
	require.Positive(t, damaged)
	id := company.text(t, boris, "second try")
	row := b.awaitText(t, boris, "second try")
	require.Equal(t, id, row.ID)
	require.False(t, row.Duplicate)
	require.Equal(t, uint64(1), b.Stats().Undecryptable)
	await(t, company, func(r *events.Receipt) bool { return r.Type == types.ReceiptTypeRetry })

	company.text(t, boris, "third")
	b.awaitText(t, boris, "third")
	require.Equal(t, uint64(1), b.Stats().Undecryptable)
	b.noneUnhandled(t)
}

func lidOf(t *testing.T, b *bundle, number string) string {
	t.Helper()
	phone, err := b.Phone(number)
	require.NoError(t, err)
	return phone.LID
}

func TestPhoneAnswersRetryReceipts(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.text(t, boris, "hello")
	b.awaitText(t, boris, "hello")
	_, err := b.SendText(t.Context(), boris, anna, "first")
	require.NoError(t, err)
	awaitIncoming(t, company, "first")

	company.store.forgetSessions()
	id, err := b.SendText(t.Context(), boris, anna, "again please")
	require.NoError(t, err)
	await(t, company, func(u *events.UndecryptableMessage) bool { return u.Info.ID == id })
	came := awaitIncoming(t, company, "again please")
	require.Equal(t, id, came.Info.ID)
	retries := b.Stats().Retries
	require.Equal(t, uint64(2), retries, "the first request of whatsmeow has no keys, so the old session is tried again")

	_, err = b.SendText(t.Context(), boris, anna, "and on")
	require.NoError(t, err)
	awaitIncoming(t, company, "and on")
	require.Equal(t, retries, b.Stats().Retries)
	b.noneUnhandled(t)
}

func TestPreKeysAreUsedUpAndRefilled(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	company := b.pair(t, anna)
	companion := func() wasim.Companion {
		phone, err := b.Phone(anna)
		require.NoError(t, err)
		return phone.Companions[0]
	}
	full := companion().PreKeys
	require.Equal(t, 20, full, "what the test's store uploads")
	for i := range full - 4 {
		number := "7900100" + string(rune('0'+i/10)) + string(rune('0'+i%10)) + "00"
		b.phone(t, number, number)
		_, err := b.SendText(t.Context(), number, anna, "hi "+number)
		require.NoError(t, err)
		awaitIncoming(t, company, "hi "+number)
	}
	require.Eventually(t, func() bool { return companion().PreKeys > 4 }, patience, time.Millisecond,
		"told that few are left, the client uploads more")
	b.noneUnhandled(t)
}

func TestDroppedPreKeys(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	company.Disconnect()
	_, err := b.AddFault(t.Context(), wasim.Fault{Kind: wasim.DropPreKeys, Phone: anna})
	require.NoError(t, err)
	phone, err := b.Phone(anna)
	require.NoError(t, err)
	require.Zero(t, phone.Companions[0].PreKeys)

	_, err = b.SendText(t.Context(), boris, anna, "without a one-time key")
	require.NoError(t, err)
	company.login(t)
	awaitIncoming(t, company, "without a one-time key")
	require.Eventually(t, func() bool {
		phone, err := b.Phone(anna)
		return err == nil && phone.Companions[0].PreKeys > 0
	}, patience, time.Millisecond)
	require.Empty(t, b.Faults(), "it happens once")
}
