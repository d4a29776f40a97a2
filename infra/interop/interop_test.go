package interop

import (
	"context"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim"
)

func TestPairedByQR(t *testing.T) {
	t.Parallel()
	salon, anna := newCompany(t, "79010000001"), newPeer(t, "79010000002", "Anna")
	salon.pairByQR(t)
	anna.pairByQR(t)

	requireTexts(t, salon, anna)
	requireImages(t, salon, anna)
	requireNothingWrong(t, anna)
}

func TestPairedByCode(t *testing.T) {
	t.Parallel()
	salon, boris := newCompany(t, "79010000003"), newPeer(t, "79010000004", "Boris")
	salon.pairByCode(t)
	boris.pairByCode(t)

	requireTexts(t, salon, boris)
	requireImages(t, salon, boris)
	requireNothingWrong(t, boris)
}

// requireTexts exchanges texts between two companions and checks who else of the two accounts could read them.
func requireTexts(t *testing.T, c *company, p *peer) {
	t.Helper()
	const question, answer = "Здравствуйте! Вы придёте завтра? 👋", "Да, в *10:00*\nСпасибо"

	id := c.sendText(t, p.number, question)
	got := p.message(t, id)
	require.Equal(t, "conversation", got.Type)
	require.Equal(t, question, got.Text)
	requireAddresses(t, c.number, got.From, got.FromAlt)
	require.Equal(t, companyName, got.Name)
	c.receipt(t, id, types.ReceiptTypeDelivered)
	requireAtPhones(t, id, question, c.number, p.number)

	p.do(t, "markRead", map[string]any{"from": got.From, "id": id})
	c.receipt(t, id, types.ReceiptTypeRead)

	id = p.send(t, "sendText", map[string]any{"to": c.number, "text": answer})
	read := c.message(t, id)
	require.Equal(t, answer, read.Message.GetExtendedTextMessage().GetText())
	require.Equal(t, p.number, numberOf(read.Info.Sender, read.Info.SenderAlt))
	require.NotZero(t, read.Info.Sender.Device)
	p.status(t, id, "DELIVERY_ACK")
	requireAtPhones(t, id, answer, c.number, p.number)

	require.NoError(t, c.MarkRead(t.Context(), []types.MessageID{id}, read.Info.Timestamp, read.Info.Chat, read.Info.Sender))
	p.status(t, id, "READ")
}

// requireImages exchanges pictures; both sides and the phones have to get the files that were sent.
func requireImages(t *testing.T, c *company, p *peer) {
	t.Helper()
	sent := newPicture(t, 1)
	id := c.sendImage(t, p.number, sent, "Our salon")
	got := p.message(t, id)
	require.Equal(t, "imageMessage", got.Type)
	require.Equal(t, "Our salon", got.Text)
	require.Equal(t, pictureType, got.MimeType)
	require.Equal(t, sent.sha256(), got.SHA256)
	require.Equal(t, sent.sha256(), awaitAtPhone(t, p.number, id).MediaSHA256)

	sent = newPicture(t, 2)
	id = p.send(t, "sendImage", map[string]any{
		"to": c.number, "file": sent.file, "mimeType": pictureType, "caption": "My hair", "thumbnail": sent.thumbnail,
	})
	message := c.message(t, id).Message.GetImageMessage()
	require.Equal(t, "My hair", message.GetCaption())
	require.Equal(t, pictureType, message.GetMimetype())
	require.Equal(t, sent.sha256(), hex.EncodeToString(message.GetFileSHA256()))
	file, err := c.Download(t.Context(), message)
	require.NoError(t, err)
	require.Equal(t, sent.file, file)
	require.Equal(t, sent.sha256(), awaitAtPhone(t, c.number, id).MediaSHA256)
}

// requireAtPhones checks that the phones of accounts could read a text of a companion.
func requireAtPhones(t *testing.T, id, text string, numbers ...string) {
	t.Helper()
	for _, number := range numbers {
		require.Equal(t, text, awaitAtPhone(t, number, id).Text)
	}
}

func awaitAtPhone(t *testing.T, number, id string) wasim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	message, err := whatsapp.AwaitMessage(ctx, number, func(m wasim.Message) bool { return m.ID == id })
	require.NoError(t, err)
	return message
}

// expectedComplaints is what Baileys says of any server: that it has to connect again after the pairing, and that it is
// not told its user's name by it.
var expectedComplaints = []string{"stream errored out", "no name present, ignoring presence update request..."}

// requireNothingWrong checks that nobody met anything it does not know or cannot read.
func requireNothingWrong(t *testing.T, p *peer) {
	t.Helper()
	stats := whatsapp.Stats()
	require.Empty(t, stats.Unhandled)
	require.Zero(t, stats.Undecryptable)
	require.Zero(t, stats.Lost)
	for _, stanza := range p.told("unhandled") {
		// Baileys waits for no answer to its receipts, nor to some of its steps of pairing by code.
		if stanza.Tag != "ack" || stanza.Attrs["class"] != "receipt" {
			require.Equal(t, "iq result", fmt.Sprint(stanza.Tag, " ", stanza.Attrs["type"]), stanza)
		}
	}
	for _, complaint := range p.told("complaint") {
		require.Contains(t, expectedComplaints, complaint.Text)
	}
}

// requireAddresses checks that two addresses are the number and the hidden user id of an account, of any of its devices.
func requireAddresses(t *testing.T, number string, addresses ...string) {
	t.Helper()
	phone, err := whatsapp.Phone(number)
	require.NoError(t, err)
	users := make([]string, len(addresses))
	for i, address := range addresses {
		jid, err := types.ParseJID(address)
		require.NoError(t, err)
		users[i] = jid.ToNonAD().String()
	}
	require.ElementsMatch(t, []string{user(number).String(), types.NewJID(phone.LID, types.HiddenUserServer).String()}, users)
}

// numberOf is the one of two addresses that is a number.
func numberOf(addresses ...types.JID) string {
	for _, address := range addresses {
		if address.Server == types.DefaultUserServer {
			return address.User
		}
	}
	return ""
}
