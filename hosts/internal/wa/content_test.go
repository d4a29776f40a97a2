package wa

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// read decodes a message between two that asks nobody anything.
func read(t *testing.T, m *waE2E.Message) actor.Incoming {
	t.Helper()
	in, err := decoder{}.decode(t.Context(), (&events.Message{RawMessage: m}).UnwrapRaw())
	require.NoError(t, err)
	return in
}

func TestTextSurvivesTheRoundTrip(t *testing.T) {
	t.Parallel()
	in := message.Content{Kind: message.Text, Text: "Здравствуйте 👋\n*bold*"}
	msg, err := encode(in, nil)
	require.NoError(t, err)
	require.Equal(t, message.Said{Kind: in.Kind, Text: in.Text}, read(t, msg).Said)
}

func TestOnlyWhatIsValidIsEncoded(t *testing.T) {
	t.Parallel()
	for _, bad := range []message.Content{{}, {Kind: message.Text}, {Kind: message.Image}, {Kind: "fax", Text: "x"}} {
		_, err := encode(bad, nil)
		require.Error(t, err)
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
			of := func(info types.MessageInfo, m *waE2E.Message) actor.Incoming {
				in, err := decoder{}.decode(t.Context(), &events.Message{Info: info, Message: m})
				require.NoError(t, err)
				return in
			}
			in := of(types.MessageInfo{MessageSource: source, ID: "A", PushName: "Anna", Timestamp: at}, msg)
			require.Equal(t, phone, in.Chat)
			require.Equal(t, sender, in.Sender)
			require.Equal(t, at, in.Timestamp)
			again := of(types.MessageInfo{MessageSource: source, ID: "A"}, proto.CloneOf(msg))
			require.Equal(t, in.Digest, again.Digest)
			other := of(types.MessageInfo{MessageSource: source, ID: "A"}, &waE2E.Message{Conversation: new("ho")})
			require.NotEqual(t, in.Digest, other.Digest)
		})
	}
}
