package content_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/content"
)

var chat = types.NewJID("79001234567", types.DefaultUserServer)

func TestComposeAndRead(t *testing.T) {
	t.Parallel()
	file := &content.Media{
		URL: "https://x/y?z", DirectPath: "/y?z", Key: []byte("key"), FileSHA256: []byte("a"), FileEncSHA256: []byte("b"),
		Length: 5, Timestamp: time.Now(), MimeTypeGuess: "image/png", DocumentNameFallback: "file",
	}
	for _, said := range []content.Content{
		{Type: content.Text, Text: "hello"},
		{Type: content.Image, Text: "caption", MimeType: "image/jpeg"},
		{Type: content.Video, Text: "film", MimeType: "video/mp4"},
		{Type: content.Audio, MimeType: "audio/mpeg"},
		{Type: content.Voice, MimeType: "audio/ogg"},
		{Type: content.Sticker, MimeType: "image/webp"},
		{Type: content.Document, MimeType: "application/pdf", FileName: "a.pdf", Text: "paper"},
		{Type: content.Location, Latitude: 1, Longitude: 2, Text: "here", Address: "there"},
		{Type: content.Contact, Text: "Carol", VCard: content.VCard("Carol", "79")},
		{Type: content.Poll, Text: "?", Options: []string{"a", "b"}},
		{Type: content.Reaction, Text: "👍", Target: "x"},
		{Type: content.Reaction, Target: "x"},
		{Type: content.Reply, Text: "yes", Target: "x"},
		{Type: content.Edit, Text: "no", Target: "x"},
		{Type: content.Revoke, Target: "x"},
	} {
		built, err := content.Compose(said, content.Context{Chat: chat, TargetSender: chat, Media: file})
		require.NoError(t, err, said.Type)
		encoded, err := proto.Marshal(built)
		require.NoError(t, err)
		var arrived waE2E.Message
		require.NoError(t, proto.Unmarshal(encoded, &arrived))
		got, ref := content.Read(&arrived)
		require.Equal(t, said, got)
		require.Equal(t, said.Type.HasMedia(), ref != nil)
		if ref != nil {
			require.Equal(t, file.DirectPath, ref.GetDirectPath())
			require.Equal(t, file.Key, ref.GetMediaKey())
		}
	}
}

func TestDefaultsOfFiles(t *testing.T) {
	t.Parallel()
	built, err := content.Compose(content.Content{Type: content.Document}, content.Context{
		Media: &content.Media{MimeTypeGuess: "text/plain", DocumentNameFallback: "file"},
	})
	require.NoError(t, err)
	require.Equal(t, "text/plain", built.GetDocumentMessage().GetMimetype())
	require.Equal(t, "file", built.GetDocumentMessage().GetFileName())
}

func TestWhoseMessageIsMeant(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{true, false} {
		built, err := content.Compose(content.Content{Type: content.Reaction, Text: "x", Target: "1"},
			content.Context{Chat: chat, TargetFromMe: own})
		require.NoError(t, err)
		require.Equal(t, own, built.GetReactionMessage().GetKey().GetFromMe())
	}
	built, err := content.Compose(content.Content{Type: content.Revoke, Target: "1"}, content.Context{Chat: chat})
	require.NoError(t, err)
	require.True(t, built.GetProtocolMessage().GetKey().GetFromMe(), "one can only take back what is one's own")
}

func TestComposeRefuses(t *testing.T) {
	t.Parallel()
	for name, said := range map[string]content.Content{
		"no type":               {},
		"unknown type":          {Type: "song"},
		"only arrives":          {Type: content.Vote, Target: "x"},
		"empty text":            {Type: content.Text},
		"no file":               {Type: content.Image},
		"no card":               {Type: content.Contact, Text: "Carol"},
		"poll without question": {Type: content.Poll, Options: []string{"a", "b"}},
		"poll without choice":   {Type: content.Poll, Text: "?", Options: []string{"a"}},
		"reaction to nothing":   {Type: content.Reaction, Text: "x"},
		"reply to nothing":      {Type: content.Reply, Text: "x"},
		"edit of nothing":       {Type: content.Edit, Text: "x"},
		"revoke of nothing":     {Type: content.Revoke},
	} {
		_, err := content.Compose(said, content.Context{Chat: chat})
		require.ErrorIs(t, err, content.ErrInvalid, name)
	}
}

func TestReadWhatOthersWrite(t *testing.T) {
	t.Parallel()
	key := &waCommon.MessageKey{ID: new("x")}
	text := &waE2E.Message{Conversation: new("t")}
	wrap := func(m *waE2E.Message) *waE2E.FutureProofMessage { return &waE2E.FutureProofMessage{Message: m} }
	for name, test := range map[string]struct {
		message *waE2E.Message
		want    content.Content
	}{
		"nothing":        {&waE2E.Message{}, content.Content{Type: content.Unknown}},
		"extended text":  {&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: new("t")}}, content.Content{Type: content.Text, Text: "t"}},
		"ephemeral":      {&waE2E.Message{EphemeralMessage: wrap(text)}, content.Content{Type: content.Text, Text: "t"}},
		"envelopes":      {&waE2E.Message{ViewOnceMessage: wrap(&waE2E.Message{EphemeralMessage: wrap(text)})}, content.Content{Type: content.Text, Text: "t"}},
		"vote":           {&waE2E.Message{PollUpdateMessage: &waE2E.PollUpdateMessage{PollCreationMessageKey: key}}, content.Content{Type: content.Vote, Target: "x"}},
		"newer poll":     {&waE2E.Message{PollCreationMessageV3: &waE2E.PollCreationMessage{Name: new("?")}}, content.Content{Type: content.Poll, Text: "?"}},
		"several cards":  {&waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{Contacts: []*waE2E.ContactMessage{{Vcard: new("v")}}}}, content.Content{Type: content.Contact, VCard: "v"}},
		"no cards":       {&waE2E.Message{ContactsArrayMessage: &waE2E.ContactsArrayMessage{}}, content.Content{Type: content.Unknown}},
		"round video":    {&waE2E.Message{PtvMessage: &waE2E.VideoMessage{}}, content.Content{Type: content.Video}},
		"plain edit":     {&waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Key: key, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: text}}, content.Content{Type: content.Edit, Text: "t", Target: "x"}},
		"key share":      {&waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum()}}, content.Content{Type: content.Protocol}},
		"empty protocol": {&waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{}}, content.Content{Type: content.Protocol}},
		"image as reply": {&waE2E.Message{ImageMessage: &waE2E.ImageMessage{ContextInfo: &waE2E.ContextInfo{StanzaID: new("x")}}}, content.Content{Type: content.Image, Target: "x"}},
	} {
		got, _ := content.Read(test.message)
		require.Equal(t, test.want, got, name)
	}
}

func TestReadEndsWithEndlessEnvelopes(t *testing.T) {
	t.Parallel()
	message := &waE2E.Message{}
	for range 100 {
		message = &waE2E.Message{EphemeralMessage: &waE2E.FutureProofMessage{Message: message}}
	}
	got, _ := content.Read(message)
	require.Equal(t, content.Unknown, got.Type)
}

func TestStanzaAttributes(t *testing.T) {
	t.Parallel()
	require.Equal(t, "text", content.Reply.StanzaType())
	require.Equal(t, "media", content.Voice.StanzaType())
	require.Equal(t, "ptt", content.Voice.MediaType())
	require.Equal(t, "media", content.Contact.StanzaType())
	require.Equal(t, "poll", content.Poll.StanzaType())
	require.Equal(t, "reaction", content.Reaction.StanzaType())
	require.Equal(t, "1", content.Content{Type: content.Edit}.EditAttribute())
	require.Equal(t, "7", content.Content{Type: content.Revoke}.EditAttribute())
	require.Equal(t, "7", content.Content{Type: content.Reaction}.EditAttribute())
	require.Empty(t, content.Content{Type: content.Reaction, Text: "x"}.EditAttribute())
}
