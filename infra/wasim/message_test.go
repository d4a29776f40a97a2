package wasim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

const (
	anna  = "79001234567"
	boris = "79007654321"
)

func TestTextsGoBothWays(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)

	id := company.text(t, boris, "hello")
	row := b.awaitText(t, boris, "hello")
	require.Equal(t, id, row.ID)
	require.Equal(t, anna, row.From)
	require.Equal(t, uint16(1), row.FromDevice)
	require.Equal(t, wasim.Text, row.Type)
	require.False(t, row.Duplicate)
	receipt := await[*events.Receipt](t, company, nil)
	require.Equal(t, []string{id}, receipt.MessageIDs)

	copied := b.awaitText(t, anna, "hello")
	require.True(t, copied.FromMe)
	require.Equal(t, boris, copied.To)

	_, err := b.SendText(t.Context(), boris, anna, "hi there")
	require.NoError(t, err)
	came := awaitIncoming(t, company, "hi there")
	require.Equal(t, boris, came.Info.Sender.User)
	require.Equal(t, "Boris", came.Info.PushName)
	b.awaitText(t, anna, "hi there")

	for _, text := range []string{"1", "2", "3"} {
		company.text(t, boris, text)
		b.awaitText(t, boris, text)
		_, err := b.SendText(t.Context(), boris, anna, "re "+text)
		require.NoError(t, err)
		awaitIncoming(t, company, "re "+text)
	}
	require.Zero(t, b.Stats().Undecryptable)
	b.noneUnhandled(t)
}
