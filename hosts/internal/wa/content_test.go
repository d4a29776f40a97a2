package wa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"wafleet/shared/message"
)

func TestTextSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	in := message.Content{Kind: message.Text, Text: "Здравствуйте 👋\n*bold*"}
	msg, err := encode(in, nil)
	require.NoError(t, err)
	require.Equal(t, in, content(msg))
}

func TestOnlyWhatIsValidIsEncoded(t *testing.T) {
	t.Parallel()
	for _, bad := range []message.Content{{}, {Kind: message.Text}, {Kind: message.Image}, {Kind: "fax", Text: "x"}} {
		_, err := encode(bad, nil)
		require.Error(t, err)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	text := new("words")
	for _, tc := range []struct {
		want message.Content
		m    *waE2E.Message
	}{
		{message.Content{Kind: message.Text, Text: "words"}, &waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: text}}},
		{message.Content{Kind: message.Image, Text: "words"}, &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: text}}},
		{message.Content{Kind: message.Video, Text: "words"}, &waE2E.Message{VideoMessage: &waE2E.VideoMessage{Caption: text}}},
		{message.Content{Kind: message.Audio}, &waE2E.Message{AudioMessage: &waE2E.AudioMessage{}}},
		{message.Content{Kind: message.Voice}, &waE2E.Message{AudioMessage: &waE2E.AudioMessage{PTT: new(true)}}},
		{message.Content{Kind: message.Document, Text: "words"}, &waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{Caption: text}}},
		{message.Content{Kind: message.Sticker}, &waE2E.Message{StickerMessage: &waE2E.StickerMessage{}}},
		{message.Content{Kind: message.Location, Text: "words"}, &waE2E.Message{LocationMessage: &waE2E.LocationMessage{Name: text}}},
		{message.Content{Kind: message.ContactCard, Text: "words"}, &waE2E.Message{ContactMessage: &waE2E.ContactMessage{DisplayName: text}}},
		{message.Content{Kind: message.Poll, Text: "words"}, &waE2E.Message{PollCreationMessageV3: &waE2E.PollCreationMessage{Name: text}}},
		{message.Content{Kind: message.Reaction, Text: "words"}, &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Text: text}}},
		{message.Content{Kind: message.Unsupported}, &waE2E.Message{CallLogMesssage: &waE2E.CallLogMessage{}}},
	} {
		require.Equal(t, tc.want, content(tc.m))
	}
}

func TestDecodeNamesBothAddresses(t *testing.T) {
	t.Parallel()
	pn, lid := types.NewJID("79001111111", types.DefaultUserServer), types.NewJID("2002", types.HiddenUserServer)
	phone := message.Contact{Phone: "79001111111", LID: "2002"}
	sender := phone
	sender.Name = "Anna"
	at := time.Unix(1_800_000_000, 0)
	for name, source := range map[string]types.MessageSource{
		"addressed by number": {Chat: pn, Sender: pn, SenderAlt: lid},
		"addressed by lid":    {Chat: lid, Sender: lid, SenderAlt: pn, AddressingMode: types.AddressingModeLID},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			msg := &waE2E.Message{Conversation: new("hi")}
			in := decode(&events.Message{Info: types.MessageInfo{MessageSource: source, ID: "A", PushName: "Anna", Timestamp: at}, Message: msg})
			require.Equal(t, phone, in.Chat)
			require.Equal(t, sender, in.Sender)
			require.Equal(t, at, in.Timestamp)
			again := decode(&events.Message{Info: types.MessageInfo{MessageSource: source, ID: "A"}, Message: proto.CloneOf(msg)})
			require.Equal(t, in.Digest, again.Digest)
			other := decode(&events.Message{Info: types.MessageInfo{MessageSource: source, ID: "A"}, Message: &waE2E.Message{Conversation: new("ho")}})
			require.NotEqual(t, in.Digest, other.Digest)
		})
	}
}

// Whatever bytes a sender encrypts, reading them must not panic.
func FuzzDecode(f *testing.F) {
	seed, err := proto.Marshal(&waE2E.Message{Conversation: new("hi")})
	require.NoError(f, err)
	f.Add(seed)
	f.Fuzz(func(t *testing.T, wire []byte) {
		var msg waE2E.Message
		if proto.Unmarshal(wire, &msg) != nil {
			return
		}
		in := decode(&events.Message{Message: &msg})
		require.NotEmpty(t, in.Content.Kind)
		require.Len(t, in.Digest, 32)
	})
}
