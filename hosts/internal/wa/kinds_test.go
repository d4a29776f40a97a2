package wa

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
)

// What a phone reads of every kind that has no file.
func TestWhatAPhoneReads(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0BB00", anna, "first"))
	own := &message.Ref{MessageID: "3EB0BB00", WAMessageID: "3EB0BB00", FromMe: true, Chat: anna, Sender: l.number, Kind: message.Text, Text: "first"}
	theirs := &message.Ref{MessageID: "in_1", WAMessageID: "3A00", Chat: anna, Sender: anna, Kind: message.Image, Text: "look"}
	for i, tc := range []struct {
		content message.Content
		want    wasim.Content
	}{
		{
			message.Content{Kind: message.Text, Text: "second", ReplyTo: own},
			wasim.Content{Type: wasim.Reply, Text: "second", Target: "3EB0BB00"},
		},
		{
			message.Content{Kind: message.Text, Text: "nice", ReplyTo: theirs},
			wasim.Content{Type: wasim.Reply, Text: "nice", Target: "3A00"},
		},
		{
			message.Content{Kind: message.Text, Text: "hello @" + anna, Mentions: []string{anna}},
			wasim.Content{Type: wasim.Text, Text: "hello @" + anna},
		},
		{
			message.Content{Kind: message.Text, Text: "see https://example.com/", Preview: &message.LinkPreview{URL: "https://example.com/", Title: "Example"}},
			wasim.Content{Type: wasim.Text, Text: "see https://example.com/"},
		},
		{
			message.Content{Kind: message.Location, Location: &message.Place{Latitude: 55.75, Longitude: 37.62, Name: "Salon", Address: "Arbat 1"}},
			wasim.Content{Type: wasim.Location, Text: "Salon", Latitude: 55.75, Longitude: 37.62, Address: "Arbat 1"},
		},
		{
			message.Content{Kind: message.ContactCard, Contact: &message.VisitingCard{Name: "Ivanov; Petr", Phone: "79001234567"}},
			wasim.Content{Type: wasim.Contact, Text: "Ivanov; Petr", VCard: vcard(message.VisitingCard{Name: "Ivanov; Petr", Phone: "79001234567"})},
		},
		{
			message.Content{Kind: message.Poll, Text: "Tea?", Poll: &message.PollOptions{Options: []string{"yes", "no"}, MaxChoices: 1}},
			wasim.Content{Type: wasim.Poll, Text: "Tea?", Options: []string{"yes", "no"}, Selectable: 1},
		},
		{
			message.Content{Kind: message.Reaction, Text: "👍", Target: own},
			wasim.Content{Type: wasim.Reaction, Text: "👍", Target: "3EB0BB00"},
		},
		{
			message.Content{Kind: message.Reaction, Target: theirs},
			wasim.Content{Type: wasim.Reaction, Target: "3A00"},
		},
		{
			message.Content{Kind: message.Edit, Text: "first, mended", Target: own},
			wasim.Content{Type: wasim.Edit, Text: "first, mended", Target: "3EB0BB00"},
		},
		{
			message.Content{Kind: message.Revoke, Target: own},
			wasim.Content{Type: wasim.Revoke, Target: "3EB0BB00"},
		},
	} {
		id := fmt.Sprintf("3EB0BB%02d", i+1)
		require.NoError(t, l.send(t, id, anna, tc.content), tc.content.Kind)
		require.Equal(t, tc.want, arrived(t, anna, id).Content)
	}
}

// send puts content on the wire.
func (l *line) send(t *testing.T, id, to string, c message.Content) error {
	t.Helper()
	wire, err := shared.Build(c, nil)
	require.NoError(t, err)
	return l.Send(t.Context(), actor.Outgoing{ID: id, Phone: to, Wire: wire})
}

func TestAHiddenIDIsAnAddress(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	phone, err := whatsapp.Phone(anna)
	require.NoError(t, err)
	require.NoError(t, l.text(t, "3EB0BC01", message.LIDAddress(phone.LID), "hi"))
	require.Equal(t, "hi", arrived(t, anna, "3EB0BC01").Text)
}

func TestAGroupThatIsNotThere(t *testing.T) {
	t.Parallel()
	l := paired(t)
	failed := refusal(t, l.text(t, "3EB0BC02", "120363000000000001@g.us", "hi"))
	require.Equal(t, actor.Refused, failed.Outcome)
	require.Equal(t, "group_not_found", failed.Reason)

	require.ErrorAs(t, classify(fmt.Errorf("ask for group: %w", errors.Join(whatsmeow.ErrNotInGroup)), nil, beforeFrame), &failed)
	require.Equal(t, "not_in_group", failed.Reason)
	require.True(t, failed.Final)
}

func TestKeysNameTheSenderInGroupsOnly(t *testing.T) {
	t.Parallel()
	ref := message.Ref{WAMessageID: "3A01", Chat: "120363000000000001@g.us", Sender: "2002@lid"}
	require.Equal(t, "2002@lid", keyOf(&ref).GetParticipant())
	require.Equal(t, "120363000000000001@g.us", keyOf(&ref).GetRemoteJID())
	ref.FromMe = true
	require.Empty(t, keyOf(&ref).GetParticipant())
	ref = message.Ref{WAMessageID: "3A01", Chat: "79001234567", Sender: "79001234567"}
	require.Empty(t, keyOf(&ref).GetParticipant())
	require.False(t, keyOf(&ref).GetFromMe())
	require.Equal(t, "79001234567@s.whatsapp.net", keyOf(&ref).GetRemoteJID())
}

// A name is a name, whatever it looks like.
func TestACardHoldsOneNumber(t *testing.T) {
	t.Parallel()
	require.NotContains(t, vcard(message.VisitingCard{Name: "x\nTEL:+1", Phone: "79001234567"}), "\nTEL:+1")
}
