package wa

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/proto/waCommon"
	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"wafleet/shared/message"
)

var update = flag.Bool("update", false, "write the golden files anew")

var (
	anna  = types.NewJID("79001111111", types.DefaultUserServer)
	annaL = types.NewJID("2002", types.HiddenUserServer)
	boris = types.NewJID("3003", types.HiddenUserServer)
	us    = types.NewJID("79009999999", types.DefaultUserServer)
	usL   = types.NewJID("9009", types.HiddenUserServer)
	group = types.NewJID("120363000000000001", types.GroupServer)
)

// reader knows who is who, and opens whatever is encrypted once more.
func reader() decoder {
	pairs := map[types.JID]types.JID{anna: annaL, annaL: anna, boris: types.NewJID("79003333333", types.DefaultUserServer)}
	return decoder{
		own:   []types.JID{us, usL},
		other: func(_ context.Context, jid types.JID) (types.JID, error) { return pairs[jid], nil },
		vote: func(context.Context, *events.Message) (*waE2E.PollVoteMessage, error) {
			return &waE2E.PollVoteMessage{SelectedOptions: [][]byte{{0xab, 0xcd}}}, nil
		},
		reaction: func(context.Context, *events.Message) (*waE2E.ReactionMessage, error) {
			return &waE2E.ReactionMessage{Text: new("🎉")}, nil
		},
	}
}

func file() (path *string, key, sha, enc []byte, size *uint64) {
	return new("/v/t62?x=1"), []byte("key"), []byte{1, 2}, []byte{3, 4}, new(uint64(12345))
}

// kinds has a message of every kind, by the name of its golden file.
func kinds() map[string]*waE2E.Message {
	path, key, sha, enc, size := file()
	quote := &waE2E.ContextInfo{
		StanzaID: new("3EB0AA"), Participant: new("9009@lid"), QuotedMessage: &waE2E.Message{Conversation: new("our offer")},
		MentionedJID: []string{"3003@lid", "79001111111@s.whatsapp.net", "not a jid@"}, IsForwarded: new(true), Expiration: new(uint32(86400)),
	}
	theirs := &waCommon.MessageKey{RemoteJID: new("9009@lid"), FromMe: new(true), ID: new("3A11")}
	ours := &waCommon.MessageKey{RemoteJID: new("9009@lid"), FromMe: new(false), ID: new("3EB0AA")}
	wrap := func(m *waE2E.Message) *waE2E.FutureProofMessage { return &waE2E.FutureProofMessage{Message: m} }
	text := &waE2E.Message{Conversation: new("hello")}
	image := &waE2E.ImageMessage{
		Mimetype: new("image/jpeg"), Caption: new("look"), DirectPath: path, MediaKey: key, FileSHA256: sha, FileEncSHA256: enc,
		FileLength: size, Width: new(uint32(640)), Height: new(uint32(480)),
	}
	poll := &waE2E.PollCreationMessage{
		Name: new("When?"), Options: []*waE2E.PollCreationMessage_Option{{OptionName: new("now")}, {OptionName: new("later")}},
		SelectableOptionsCount: new(uint32(1)),
	}
	card := &waE2E.ContactMessage{DisplayName: new("Carol"), Vcard: new("BEGIN:VCARD\nFN:Carol\nTEL;type=CELL;waid=79005550000:+7 900 555-00-00\nitem1.TEL:+7 (900) 555-11-11\nEMAIL:c@example.com\nEND:VCARD")}
	future := &waE2E.Message{}
	future.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 999, protowire.VarintType), 1))
	return map[string]*waE2E.Message{
		"text":      text,
		"text_link": {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: new("see https://example.com"), MatchedText: new("https://example.com"), Title: new("Example"), Description: new("A page")}},
		"reply":     {ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: new("yes, @3003"), ContextInfo: quote}},
		"image":     {ImageMessage: image},
		"view_once": {ViewOnceMessageV2: wrap(&waE2E.Message{ImageMessage: image})},
		"video": {VideoMessage: &waE2E.VideoMessage{
			Mimetype: new("video/mp4"), Caption: new("film"), DirectPath: path, MediaKey: key, FileSHA256: sha, FileEncSHA256: enc, FileLength: size, Seconds: new(uint32(7)), GifPlayback: new(true),
		}},
		"video_note": {PtvMessage: &waE2E.VideoMessage{Mimetype: new("video/mp4"), DirectPath: path, MediaKey: key, FileLength: size}},
		"audio":      {AudioMessage: &waE2E.AudioMessage{Mimetype: new("audio/mpeg"), Seconds: new(uint32(3)), DirectPath: path, MediaKey: key, FileLength: size}},
		"voice":      {AudioMessage: &waE2E.AudioMessage{Mimetype: new("audio/ogg; codecs=opus"), Seconds: new(uint32(3)), PTT: new(true), DirectPath: path, MediaKey: key, FileLength: size}},
		"document": {DocumentWithCaptionMessage: wrap(&waE2E.Message{DocumentMessage: &waE2E.DocumentMessage{
			Mimetype: new("application/pdf"), FileName: new("bill.pdf"), Caption: new("the bill"), PageCount: new(uint32(2)), DirectPath: path, MediaKey: key, FileSHA256: sha, FileLength: size,
		}})},
		"sticker":       {StickerMessage: &waE2E.StickerMessage{Mimetype: new("image/webp"), IsAnimated: new(true), DirectPath: path, MediaKey: key, FileLength: size}},
		"location":      {LocationMessage: &waE2E.LocationMessage{DegreesLatitude: new(55.75), DegreesLongitude: new(37.61), Name: new("Salon"), Address: new("Tverskaya 1"), URL: new("https://example.com")}},
		"location_live": {LiveLocationMessage: &waE2E.LiveLocationMessage{DegreesLatitude: new(55.75), DegreesLongitude: new(37.61), Caption: new("coming"), AccuracyInMeters: new(uint32(10)), SequenceNumber: new(int64(4))}},
		"contact":       {ContactMessage: card},
		"contacts":      {ContactsArrayMessage: &waE2E.ContactsArrayMessage{DisplayName: new("2 contacts"), Contacts: []*waE2E.ContactMessage{card, {DisplayName: new("Dave")}}}},
		"poll":          {PollCreationMessageV3: poll},
		"vote":          {PollUpdateMessage: &waE2E.PollUpdateMessage{PollCreationMessageKey: ours, Vote: &waE2E.PollEncValue{}}},
		"reaction":      {ReactionMessage: &waE2E.ReactionMessage{Key: ours, Text: new("👍")}},
		"reaction_none": {ReactionMessage: &waE2E.ReactionMessage{Key: theirs, Text: new("")}},
		"reaction_enc":  {EncReactionMessage: &waE2E.EncReactionMessage{TargetMessageKey: ours}},
		"edit": {EditedMessage: wrap(&waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Key: theirs, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: &waE2E.Message{Conversation: new("better")},
		}})},
		"edit_caption": {ProtocolMessage: &waE2E.ProtocolMessage{
			Key: theirs, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: &waE2E.Message{ImageMessage: &waE2E.ImageMessage{Caption: new("better")}},
		}},
		"revoke":         {ProtocolMessage: &waE2E.ProtocolMessage{Key: theirs, Type: waE2E.ProtocolMessage_REVOKE.Enum()}},
		"button":         {ButtonsResponseMessage: &waE2E.ButtonsResponseMessage{SelectedButtonID: new("yes"), Response: &waE2E.ButtonsResponseMessage_SelectedDisplayText{SelectedDisplayText: "Yes!"}}},
		"button_old":     {TemplateButtonReplyMessage: &waE2E.TemplateButtonReplyMessage{SelectedID: new("yes"), SelectedDisplayText: new("Yes!")}},
		"list":           {ListResponseMessage: &waE2E.ListResponseMessage{Title: new("Haircut"), Description: new("45 minutes"), SingleSelectReply: &waE2E.ListResponseMessage_SingleSelectReply{SelectedRowID: new("row-1")}}},
		"form":           {InteractiveResponseMessage: &waE2E.InteractiveResponseMessage{Body: &waE2E.InteractiveResponseMessage_Body{Text: new("done")}, InteractiveResponseMessage: &waE2E.InteractiveResponseMessage_NativeFlowResponseMessage_{NativeFlowResponseMessage: &waE2E.InteractiveResponseMessage_NativeFlowResponseMessage{Name: new("flow"), ParamsJSON: new(`{"a":1}`)}}}},
		"disappearing":   {EphemeralMessage: wrap(&waE2E.Message{ExtendedTextMessage: &waE2E.ExtendedTextMessage{Text: new("soon gone"), ContextInfo: &waE2E.ContextInfo{Expiration: new(uint32(604800))}}})},
		"envelopes":      {EphemeralMessage: wrap(&waE2E.Message{ViewOnceMessage: wrap(&waE2E.Message{GroupMentionedMessage: wrap(text)})})},
		"device_sent":    {DeviceSentMessage: &waE2E.DeviceSentMessage{Message: text}},
		"unsupported":    {OrderMessage: &waE2E.OrderMessage{OrderID: new("1")}, MessageContextInfo: &waE2E.MessageContextInfo{}},
		"unsupported_of": future,
		"group_invite":   {GroupInviteMessage: &waE2E.GroupInviteMessage{Caption: new("join us")}},
	}
}

// The JSON of every kind is a promise to customers: it is what events and GET /messages show.
func TestGoldenKinds(t *testing.T) {
	t.Parallel()
	info := types.MessageInfo{MessageSource: types.MessageSource{Chat: annaL, Sender: annaL, SenderAlt: anna}, ID: "3A99", PushName: "Anna", Timestamp: time.Unix(1_800_000_000, 0).UTC()}
	for name, m := range kinds() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in, err := reader().decode(t.Context(), (&events.Message{Info: info, RawMessage: m}).UnwrapRaw())
			require.NoError(t, err)
			require.False(t, in.Silent)
			require.Equal(t, in.Said.Media != nil, in.File != nil)
			told := message.Incoming{MessageID: "in_…", WAMessageID: in.WAMessageID, From: in.Sender, Chat: in.Chat, Timestamp: in.Timestamp, Said: in.Said}
			got, err := json.MarshalIndent(told, "", "  ")
			require.NoError(t, err)
			golden := filepath.Join("testdata", "incoming", name+".json")
			if *update {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, append(got, '\n'), 0o644))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got)+"\n")
		})
	}
}

// In a group the message is a participant's, and what it is about may be anybody's.
func TestGroups(t *testing.T) {
	t.Parallel()
	info := types.MessageInfo{MessageSource: types.MessageSource{Chat: group, Sender: annaL, SenderAlt: anna, IsGroup: true}, ID: "3A99"}
	for name, test := range map[string]struct {
		key  *waCommon.MessageKey
		want message.Reference
	}{
		"the sender's own": {&waCommon.MessageKey{FromMe: new(true), ID: new("A")}, message.Reference{WAMessageID: "A", From: &message.Contact{Phone: anna.User, LID: annaL.User}}},
		"somebody's":       {&waCommon.MessageKey{ID: new("A"), Participant: new("3003:4@lid")}, message.Reference{WAMessageID: "A", From: &message.Contact{Phone: "79003333333", LID: "3003"}}},
		"ours":             {&waCommon.MessageKey{ID: new("A"), Participant: new("9009@lid")}, message.Reference{WAMessageID: "A", FromMe: true}},
		"nobody's":         {&waCommon.MessageKey{ID: new("A")}, message.Reference{WAMessageID: "A"}},
	} {
		in, err := reader().decode(t.Context(), &events.Message{Info: info, Message: &waE2E.Message{ReactionMessage: &waE2E.ReactionMessage{Key: test.key, Text: new("x")}}})
		require.NoError(t, err)
		require.Equal(t, message.Contact{Group: "120363000000000001@g.us"}, in.Chat, name)
		require.Equal(t, message.Contact{Phone: anna.User, LID: annaL.User}, in.Sender, name)
		require.Equal(t, &test.want, in.Said.Target, name)
	}
}

// What devices say to each other is no message.
func TestSilence(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*waE2E.Message{
		"nothing":      {},
		"no message":   nil,
		"sender key":   {SenderKeyDistributionMessage: &waE2E.SenderKeyDistributionMessage{}},
		"key share":    {ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_APP_STATE_SYNC_KEY_SHARE.Enum()}},
		"a timer":      {ProtocolMessage: &waE2E.ProtocolMessage{Type: waE2E.ProtocolMessage_EPHEMERAL_SETTING.Enum(), EphemeralExpiration: new(uint32(1))}},
		"empty revoke": {ProtocolMessage: &waE2E.ProtocolMessage{}},
	} {
		in, err := reader().decode(t.Context(), &events.Message{Message: m})
		require.NoError(t, err)
		require.True(t, in.Silent, name)
	}
}

// What is missing because the database is away must come again; what cannot be had at all is shown without it.
func TestWhatCannotBeOpened(t *testing.T) {
	t.Parallel()
	key := &waCommon.MessageKey{ID: new("A")}
	vote := &events.Message{Message: &waE2E.Message{PollUpdateMessage: &waE2E.PollUpdateMessage{PollCreationMessageKey: key}}}
	reaction := &events.Message{Message: &waE2E.Message{EncReactionMessage: &waE2E.EncReactionMessage{TargetMessageKey: key}}}
	d := reader()
	d.vote = func(context.Context, *events.Message) (*waE2E.PollVoteMessage, error) {
		return nil, errors.New("wrong key")
	}
	d.reaction = func(context.Context, *events.Message) (*waE2E.ReactionMessage, error) {
		return nil, errors.New("wrong key")
	}
	for _, e := range []*events.Message{vote, reaction} {
		in, err := d.decode(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, "cannot_be_decrypted", in.Said.Reason)
	}
	away := errors.New("database is away")
	d.other = func(context.Context, types.JID) (types.JID, error) { return types.EmptyJID, away }
	_, err := d.decode(t.Context(), &events.Message{Info: types.MessageInfo{MessageSource: types.MessageSource{Sender: anna, Chat: anna}}})
	require.ErrorIs(t, err, away)
}

func TestCallsAndPlaceholders(t *testing.T) {
	t.Parallel()
	d, at := reader(), time.Unix(1_800_000_000, 0)
	in, err := d.called(t.Context(), types.BasicCallMeta{CallCreator: annaL, CallID: "C1", Timestamp: at}, message.Ring{Video: true})
	require.NoError(t, err)
	require.Equal(t, message.Said{Kind: message.Call, Call: &message.Ring{Video: true}}, in.Said)
	require.Equal(t, message.Contact{Phone: anna.User, LID: annaL.User}, in.Sender)
	require.Equal(t, in.Sender, in.Chat)
	require.Len(t, in.Digest, 32)
	in, err = d.called(t.Context(), types.BasicCallMeta{From: annaL, CallID: "C1", GroupJID: group}, message.Ring{})
	require.NoError(t, err)
	require.Equal(t, group.String(), in.Chat.Group)
	require.True(t, in.Said.Call.Group)

	for reason, e := range map[string]*events.UndecryptableMessage{
		"waiting_for_sender": {},
		"waiting_for_phone":  {IsUnavailable: true},
		"only_on_the_phone":  {IsUnavailable: true, UnavailableType: events.UnavailableTypeViewOnce},
	} {
		e.Info = types.MessageInfo{MessageSource: types.MessageSource{Chat: annaL, Sender: annaL}, ID: "A"}
		in, err := d.undecryptable(t.Context(), e)
		require.NoError(t, err)
		require.Equal(t, message.Undecryptable, in.Said.Kind)
		require.Equal(t, reason, in.Said.Reason)
		require.Equal(t, anna.User, in.Sender.Phone)
		require.False(t, in.Silent)
	}
	in, err = d.undecryptable(t.Context(), &events.UndecryptableMessage{DecryptFailMode: events.DecryptFailHide})
	require.NoError(t, err)
	require.True(t, in.Silent, "WhatsApp's apps show nothing either")
}

func TestBounds(t *testing.T) {
	t.Parallel()
	huge := &waE2E.ContactMessage{Vcard: new("TEL:123\n" + strings.Repeat("PHOTO", maxCard))}
	all := make([]*waE2E.ContactMessage, 1000)
	for i := range all {
		all[i] = huge
	}
	said := cards("many", all...)
	require.Len(t, said.Contacts, maxParts)
	require.Empty(t, said.Contacts[0].VCard)
	require.Equal(t, []string{"123"}, said.Contacts[0].Phones)

	deep := &waE2E.Message{Conversation: new("x")}
	for range 1000 {
		deep = &waE2E.Message{ProtocolMessage: &waE2E.ProtocolMessage{
			Key: &waCommon.MessageKey{}, Type: waE2E.ProtocolMessage_MESSAGE_EDIT.Enum(), EditedMessage: &waE2E.Message{EphemeralMessage: &waE2E.FutureProofMessage{Message: deep}},
		}}
	}
	require.Equal(t, message.Edit, read(t, deep).Said.Kind)
}

// Whatever bytes a sender encrypts, reading them must not panic, and what comes of it can be written down.
func FuzzDecode(f *testing.F) {
	for _, m := range kinds() {
		seed, err := proto.Marshal(m)
		require.NoError(f, err)
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, wire []byte, inGroup bool) {
		var msg waE2E.Message
		if proto.Unmarshal(wire, &msg) != nil {
			return
		}
		source := types.MessageSource{Chat: annaL, Sender: annaL}
		if inGroup {
			source.Chat, source.IsGroup = group, true
		}
		in, err := reader().decode(t.Context(), (&events.Message{Info: types.MessageInfo{MessageSource: source}, RawMessage: &msg}).UnwrapRaw())
		require.NoError(t, err)
		require.NotEmpty(t, in.Said.Kind)
		require.Len(t, in.Digest, 32)
		_, err = in.Said.Encode()
		require.NoError(t, err)
		_, err = json.Marshal(in.File)
		require.NoError(t, err)
	})
}
