package interop

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
)

// The phones of the simulator have Signal sessions of their own with Baileys, under both kinds of addresses.
func TestPhonesOfTheSimulator(t *testing.T) {
	t.Parallel()
	const egor = "79010000011"
	zoya := newPeer(t, "79010000010", "Zoya")
	addPhone(t, egor, "Egor")
	zoya.pairByQR(t)

	var found []struct {
		JID    string `json:"jid"`
		Exists bool   `json:"exists"`
	}
	require.NoError(t, json.Unmarshal(zoya.do(t, "onWhatsApp", map[string]any{"phones": []string{egor, "79019999999"}}), &found))
	require.Equal(t, user(egor).String(), found[0].JID)
	require.True(t, found[0].Exists)
	for _, other := range found[1:] {
		require.False(t, other.Exists)
	}

	id := zoya.send(t, "sendText", map[string]any{"to": egor, "text": "hi"})
	require.Equal(t, "hi", awaitAtPhone(t, egor, id).Text)
	zoya.status(t, id, "DELIVERY_ACK")
	require.NoError(t, whatsapp.SendReceipts(t.Context(), egor, "read", id))
	zoya.status(t, id, "READ")

	for _, lid := range []bool{false, true} {
		picture := newPicture(t, 3)
		id, err := whatsapp.SendMessage(t.Context(), egor, wasim.Outgoing{
			To: zoya.number, LID: lid, Media: picture.file,
			Content: wasim.Content{Type: wasim.Image, Text: "me", MimeType: pictureType},
		})
		require.NoError(t, err)
		got := zoya.message(t, id)
		require.Equal(t, "me", got.Text)
		require.Equal(t, picture.sha256(), got.SHA256)
		requireAddresses(t, egor, got.From, got.FromAlt)
	}
	requireNothingWrong(t, zoya)
	require.Eventually(t, func() bool {
		phone, err := whatsapp.Phone(zoya.number)
		return err == nil && phone.Companions[0].Waiting == 0
	}, patience, 10*time.Millisecond, "Baileys has acknowledged everything")
}

func TestLogout(t *testing.T) {
	t.Parallel()
	lera := newPeer(t, "79010000012", "Lera")
	lera.pairByQR(t)
	phone, err := whatsapp.Phone(lera.number)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1)

	lera.do(t, "logout", nil)
	lera.event(t, "closed")
	require.Eventually(t, func() bool {
		phone, err = whatsapp.Phone(lera.number)
		return err == nil && len(phone.Companions) == 0
	}, patience, 10*time.Millisecond)
	require.Empty(t, whatsapp.Stats().Unhandled)
}

func TestUnlinkedByThePhone(t *testing.T) {
	t.Parallel()
	misha := newPeer(t, "79010000013", "Misha")
	misha.pairByCode(t)
	phone, err := whatsapp.Phone(misha.number)
	require.NoError(t, err)

	require.NoError(t, whatsapp.Unlink(t.Context(), misha.number, phone.Companions[0].Device))
	require.Equal(t, loggedOut, misha.event(t, "closed").Code)
}

// loggedOut is what Baileys calls a device that was removed, and why it does not connect again.
const loggedOut = 401
