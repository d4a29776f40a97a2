package wa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/actor"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
)

// What a phone writes about messages names the message that is meant, whoever wrote that.
func TestWhatAPhoneWrites(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0CC01", anna, "our offer"))
	arrived(t, anna, "3EB0CC01")
	n := 0
	write := func(c wasim.Content) (string, actor.Incoming) {
		n++
		id, err := whatsapp.SendMessage(t.Context(), anna, wasim.Outgoing{To: l.number, Content: c})
		require.NoError(t, err)
		in := l.got(t, n)[n-1]
		require.Equal(t, id, in.WAMessageID)
		require.Equal(t, anna, in.Sender.Phone)
		return id, in
	}
	first, in := write(wasim.Content{Type: wasim.Location, Text: "Salon", Address: "Tverskaya 1", Latitude: 55.75, Longitude: 37.61})
	require.Equal(t, &message.Position{Latitude: 55.75, Longitude: 37.61, Name: "Salon", Address: "Tverskaya 1"}, in.Said.Location)
	_, in = write(wasim.Content{Type: wasim.Contact, Text: "Carol", VCard: "BEGIN:VCARD\nFN:Carol\nTEL;waid=79005550000:+79005550000\nEND:VCARD"})
	require.Equal(t, []string{"79005550000"}, in.Said.Contacts[0].Phones)
	_, in = write(wasim.Content{Type: wasim.Poll, Text: "When?", Options: []string{"now", "later"}})
	require.Equal(t, &message.Ballot{Question: "When?", Options: []string{"now", "later"}}, in.Said.Poll)

	theirs := &message.Reference{WAMessageID: first, From: &message.Contact{Phone: in.Sender.Phone, LID: in.Sender.LID}}
	_, in = write(wasim.Content{Type: wasim.Reaction, Text: "👍", Target: "3EB0CC01"})
	require.Equal(t, &message.Reference{WAMessageID: "3EB0CC01", FromMe: true}, in.Said.Target)
	_, in = write(wasim.Content{Type: wasim.Reaction, Text: "👍", Target: first})
	require.Equal(t, theirs, in.Said.Target)
	_, in = write(wasim.Content{Type: wasim.Reply, Text: "yes", Target: first})
	require.Equal(t, first, in.Said.ReplyTo.WAMessageID)
	require.False(t, in.Said.ReplyTo.FromMe)
	_, in = write(wasim.Content{Type: wasim.Edit, Text: "better", Target: first})
	require.Equal(t, message.Said{Kind: message.Edit, Text: "better", Target: theirs}, in.Said)
	_, in = write(wasim.Content{Type: wasim.Revoke, Target: first})
	require.Equal(t, message.Said{Kind: message.Revoke, Target: theirs}, in.Said)
}

// A vote is encrypted with the secret of its poll, which only whoever has the poll knows.
func TestAVote(t *testing.T) {
	t.Parallel()
	l, voter := paired(t), paired(t)
	wire, err := shared.Build(message.Content{Kind: message.Poll, Text: "When?", Poll: &message.PollOptions{Options: []string{"now", "later"}}}, nil)
	require.NoError(t, err)
	require.NoError(t, l.Send(t.Context(), actor.Outgoing{ID: "3EB0CC02", Phone: voter.number, Wire: wire}))
	asked := voter.got(t, 1)[0]
	require.Equal(t, "When?", asked.Said.Poll.Question)

	vote := func(options ...string) message.Said {
		info := &types.MessageInfo{ID: "3EB0CC02", MessageSource: types.MessageSource{
			Chat: l.client.Store.GetJID().ToNonAD(), Sender: l.client.Store.GetJID().ToNonAD(),
		}}
		built, err := voter.client.BuildPollVote(t.Context(), info, options)
		require.NoError(t, err)
		sent, err := voter.client.SendMessage(t.Context(), info.Chat, built, whatsmeow.SendRequestExtra{})
		require.NoError(t, err)
		var said message.Said
		require.Eventually(t, func() bool {
			l.mu.Lock()
			defer l.mu.Unlock()
			for _, in := range l.received {
				if in.WAMessageID == sent.ID {
					said = in.Said
					return true
				}
			}
			return false
		}, await, time.Millisecond)
		return said
	}
	said := vote("later")
	require.Equal(t, message.Vote, said.Kind)
	require.Empty(t, said.Reason)
	require.Equal(t, &message.Reference{WAMessageID: "3EB0CC02", FromMe: true}, said.Target)
	require.Len(t, said.Vote.Hashes, 1)
	require.Empty(t, vote().Vote.Hashes, "taken back")
}

// A message that cannot be decrypted is shown as a placeholder, and comes as itself when its sender has encrypted it again.
func TestAMessageThatCannotBeDecryptedAtFirst(t *testing.T) {
	t.Parallel()
	l, sender := paired(t), paired(t)
	require.NoError(t, sender.text(t, "3EB0CC03", l.number, "readable"))
	l.got(t, 1)
	sender.hang()
	sender.damageSessions(t)
	sender.open(t)
	sender.reconnect(t)
	require.NoError(t, sender.text(t, "3EB0CC04", l.number, "unreadable at first"))
	var got []actor.Incoming
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		got = l.received[1:]
		return len(got) > 0 && got[len(got)-1].Said.Kind == message.Text
	}, await, time.Millisecond)
	require.Greater(t, len(got), 1)
	require.Equal(t, "unreadable at first", got[len(got)-1].Said.Text)
	for i, in := range got {
		require.Equal(t, i < len(got)-1, in.Said.Kind == message.Undecryptable, "until it can be")
		require.Equal(t, "3EB0CC04", in.WAMessageID)
		require.Equal(t, got[0].Chat.LID, in.Chat.LID)
		require.Equal(t, got[0].Sender.LID, in.Sender.LID, "it is found by this")
		require.NotEmpty(t, in.Sender.LID)
	}
}
