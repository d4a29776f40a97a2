package interop

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
)

// A companion that was off gets what was written meanwhile, and goes on with the same keys.
func TestLoginWithSavedCredentials(t *testing.T) {
	t.Parallel()
	salon, vera := newCompany(t, "79010000005"), newPeer(t, "79010000006", "Vera")
	addPhone(t, "79010000007", "Gleb")
	salon.pairByQR(t)
	vera.pairByQR(t)
	first := salon.sendText(t, vera.number, "before")
	require.Equal(t, "before", vera.message(t, first).Text)

	var fromSalon, fromGleb string
	vera.restart(t, func() {
		var err error
		fromSalon = salon.sendText(t, vera.number, "meanwhile")
		fromGleb, err = whatsapp.SendText(t.Context(), "79010000007", vera.number, "me too")
		require.NoError(t, err)
	})
	require.Equal(t, "meanwhile", vera.message(t, fromSalon).Text)
	require.Equal(t, "me too", vera.message(t, fromGleb).Text)
	requireTexts(t, salon, vera)
	requireNothingWrong(t, vera)

	times := 0
	for _, message := range vera.told("message") {
		if message.ID == first {
			times++
		}
	}
	require.Equal(t, 1, times, "a message that Baileys had acknowledged came again")
	phone, err := whatsapp.Phone(vera.number)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1, "the login must not have made another companion")
}

// A companion that has lost a session asks for the message again, with new keys, and whatsmeow answers.
func TestRetryAfterALostSession(t *testing.T) {
	t.Parallel()
	salon, dina := newCompany(t, "79010000008"), newPeer(t, "79010000009", "Dina")
	salon.pairByQR(t)
	dina.pairByQR(t)
	requireTexts(t, salon, dina)

	var id string
	dina.restart(t, func() {
		sessions, err := filepath.Glob(filepath.Join(dina.authDir, "session-*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, sessions)
		for _, file := range sessions {
			require.NoError(t, os.Remove(file))
		}
		id = salon.sendText(t, dina.number, "can you read this?")
	})
	require.Equal(t, "can you read this?", dina.history.await(t, "the text again", func(l told) bool {
		return l.Event == "message" && l.ID == id && l.Text != ""
	}).Text)
	require.NotEmpty(t, retriesOf(id), "it was readable at once")
	require.Empty(t, whatsapp.Stats().Unhandled)
}

// retriesOf is the retry receipts for a message.
func retriesOf(id string) []wasim.JournalRow {
	var found []wasim.JournalRow
	for after := uint64(0); ; {
		rows := whatsapp.Journal(after, 0)
		if len(rows) == 0 {
			return found
		}
		for _, row := range rows {
			if row.Tag == "receipt" && row.Type == "retry" && row.ID == id {
				found = append(found, row)
			}
		}
		after = rows[len(rows)-1].N
	}
}
