package wasim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// TestEveryTypeArrives sends each type from one phone to another and to a companion, which must be able to read it too.
func TestEveryTypeArrives(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	target := company.text(t, boris, "target")
	b.awaitText(t, boris, "target")
	file := []byte("file")
	for _, said := range []wasim.Content{
		{Type: wasim.Text, Text: "hello"},
		{Type: wasim.Image, Text: "caption", MimeType: "image/jpeg"},
		{Type: wasim.Video, Text: "film", MimeType: "video/mp4"},
		{Type: wasim.Audio, MimeType: "audio/mpeg"},
		{Type: wasim.Voice, MimeType: "audio/ogg; codecs=opus"},
		{Type: wasim.Document, Text: "paper", FileName: "a.pdf", MimeType: "application/pdf"},
		{Type: wasim.Sticker, MimeType: "image/webp"},
		{Type: wasim.Location, Text: "Red Square", Address: "Moscow", Latitude: 55.75, Longitude: 37.62},
		{Type: wasim.Contact, Text: "Carol", VCard: "BEGIN:VCARD\nEND:VCARD"},
		{Type: wasim.Poll, Text: "Tea?", Options: []string{"yes", "no"}, Selectable: 1},
		{Type: wasim.Reaction, Text: "👍", Target: target},
		{Type: wasim.Reply, Text: "indeed", Target: target},
		{Type: wasim.Edit, Text: "better", Target: "MINE"},
		{Type: wasim.Revoke, Target: "MINE"},
	} {
		company.forget()
		out := wasim.Outgoing{To: anna, Content: said}
		if said.Type.HasMedia() {
			out.Media = file
		}
		id, err := b.SendMessage(t.Context(), boris, out)
		require.NoError(t, err, said.Type)
		row, err := b.AwaitMessage(t.Context(), anna, func(m wasim.Message) bool { return m.ID == id })
		require.NoError(t, err)
		require.Equal(t, said, row.Content)
		if said.Type.HasMedia() {
			require.Equal(t, hashOf(file), row.MediaSHA256)
		}
		came := await[*events.Message](t, company, nil)
		require.Equal(t, id, came.Info.ID, said.Type)
		require.Equal(t, said.Type == wasim.Edit, came.IsEdit)
	}
	b.noneUnhandled(t)
}

// TestPhoneReadsWhatClientsBuild lets whatsmeow build the messages that refer to others.
func TestPhoneReadsWhatClientsBuild(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	chat := user(boris)
	mine := company.text(t, boris, "mine")
	theirs, err := b.SendText(t.Context(), boris, anna, "theirs")
	require.NoError(t, err)
	for _, test := range []struct {
		built *waE2E.Message
		want  wasim.Content
	}{
		{company.BuildReaction(chat, chat, theirs, "❤"), wasim.Content{Type: wasim.Reaction, Text: "❤", Target: theirs}},
		{
			company.BuildEdit(chat, mine, &waE2E.Message{Conversation: new("new")}),
			wasim.Content{Type: wasim.Edit, Text: "new", Target: mine},
		},
		{company.BuildRevoke(chat, types.EmptyJID, mine), wasim.Content{Type: wasim.Revoke, Target: mine}},
		{
			company.BuildPollCreation("Q", []string{"a", "b"}, 1),
			wasim.Content{Type: wasim.Poll, Text: "Q", Options: []string{"a", "b"}, Selectable: 1},
		},
		{
			&waE2E.Message{EphemeralMessage: &waE2E.FutureProofMessage{
				Message: &waE2E.Message{Conversation: new("secret")},
			}},
			wasim.Content{Type: wasim.Text, Text: "secret"},
		},
	} {
		sent, err := company.SendMessage(t.Context(), chat, test.built)
		require.NoError(t, err)
		row, err := b.AwaitMessage(t.Context(), boris, func(m wasim.Message) bool { return m.ID == sent.ID })
		require.NoError(t, err)
		require.Equal(t, test.want, row.Content)
	}
}

func TestMessagesByHiddenID(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	lid := types.NewJID(lidOf(t, b, boris), types.HiddenUserServer)
	_, err := company.SendMessage(t.Context(), lid, &waE2E.Message{Conversation: new("to a hidden id")})
	require.NoError(t, err)
	row := b.awaitText(t, boris, "to a hidden id")
	require.Equal(t, anna, row.From)

	_, err = b.SendMessage(t.Context(), boris, wasim.Outgoing{
		To: anna, Content: wasim.Content{Type: wasim.Text, Text: "and back"}, LID: true,
	})
	require.NoError(t, err)
	came := awaitIncoming(t, company, "and back")
	require.Equal(t, lid, came.Info.Sender)
	require.Equal(t, user(boris), came.Info.SenderAlt)
	require.Zero(t, b.Stats().Undecryptable)
	b.noneUnhandled(t)
}

// TestQuestionsOfClients asks what product code asks the server.
func TestQuestionsOfClients(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	b.phone(t, boris, "Boris")
	company := b.pair(t, anna)
	ctx := t.Context()

	found, err := company.IsOnWhatsApp(ctx, []string{"+" + boris, "+79990000000"})
	require.NoError(t, err)
	require.Len(t, found, 2)
	require.True(t, found[0].IsIn)
	require.Equal(t, user(boris), found[0].JID)
	require.Equal(t, "+"+boris, found[0].Query)
	require.False(t, found[1].IsIn)

	info, err := company.GetUserInfo(ctx, []types.JID{user(boris)})
	require.NoError(t, err)
	require.Equal(t, lidOf(t, b, boris), info[user(boris)].LID.User)
	require.Len(t, info[user(boris)].Devices, 1)

	_, err = company.GetBlocklist(ctx)
	require.NoError(t, err)
	_, err = company.TryFetchPrivacySettings(ctx, true)
	require.NoError(t, err)
	_, err = company.GetJoinedGroups(ctx)
	require.NoError(t, err)
	_, err = company.GetContactQRLink(ctx, false)
	require.NoError(t, err)
	_, err = company.GetProfilePictureInfo(ctx, user(boris), nil)
	require.Error(t, err)
	require.NoError(t, company.SetStatusMessage(ctx, "busy"))
	company.Store.PushName = "Anna" // whatsmeow wants one for the next.
	require.NoError(t, company.SendPresence(ctx, types.PresenceAvailable))
	require.NoError(t, company.SendChatPresence(ctx, user(boris), types.ChatPresenceComposing, types.ChatPresenceMediaText))
	require.NoError(t, company.SetPassive(ctx, true))
	require.NoError(t, company.SetPassive(ctx, false))
	b.noneUnhandled(t)
}
