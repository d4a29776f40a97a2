package wa

import (
	"context"
	"fmt"
	"math"

	"go.mau.fi/whatsmeow/proto/waE2E"
	"go.mau.fi/whatsmeow/types/events"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
)

// reading is the decoding of one message, and what it found besides words.
type reading struct {
	decoder

	event  *events.Message
	file   *actor.File
	silent bool
	depth  int
	err    error
}

// said reads what a message shows. A kind that we do not know stays visible, by the name that WhatsApp has for it.
func (r *reading) said(ctx context.Context, m *waE2E.Message) message.Said {
	if m = r.unwrap(m); m == nil {
		m = &waE2E.Message{}
	}
	if s, ok := r.attached(m); ok {
		return r.inContext(ctx, m, s)
	}
	if s, ok := r.about(ctx, m); ok {
		return r.inContext(ctx, m, s)
	}
	if s, ok := chosen(m); ok {
		return r.inContext(ctx, m, s)
	}
	if s, ok := written(m); ok {
		return r.inContext(ctx, m, s)
	}
	field := carries(m)
	r.silent = field == ""
	return r.inContext(ctx, m, message.Said{Kind: message.Unsupported, Field: field})
}

// written are the kinds that say it all themselves.
func written(m *waE2E.Message) (s message.Said, ok bool) {
	switch {
	case m.Conversation != nil:
		return message.Said{Kind: message.Text, Text: m.GetConversation()}, true
	case m.ExtendedTextMessage != nil:
		t := m.GetExtendedTextMessage()
		return message.Said{Kind: message.Text, Text: t.GetText(), Preview: preview(t)}, true
	case m.LocationMessage != nil:
		l := m.GetLocationMessage()
		return message.Said{Kind: message.Location, Text: l.GetComment(), Location: &message.Position{
			Latitude: finite(l.GetDegreesLatitude()), Longitude: finite(l.GetDegreesLongitude()), Name: l.GetName(),
			Address: l.GetAddress(), URL: l.GetURL(), Live: l.GetIsLive(), Accuracy: int(l.GetAccuracyInMeters()),
		}}, true
	case m.LiveLocationMessage != nil:
		l := m.GetLiveLocationMessage()
		return message.Said{Kind: message.Location, Text: l.GetCaption(), Location: &message.Position{
			Latitude: finite(l.GetDegreesLatitude()), Longitude: finite(l.GetDegreesLongitude()), Live: true,
			Accuracy: int(l.GetAccuracyInMeters()), Sequence: l.GetSequenceNumber(),
		}}, true
	case m.ContactMessage != nil:
		return cards(m.GetContactMessage().GetDisplayName(), m.GetContactMessage()), true
	case m.ContactsArrayMessage != nil:
		return cards(m.GetContactsArrayMessage().GetDisplayName(), m.GetContactsArrayMessage().GetContacts()...), true
	case m.GroupInviteMessage != nil: // a card without a person: it says what to do about it
		return message.Said{Kind: message.Unsupported, Field: "groupInviteMessage", Text: m.GetGroupInviteMessage().GetCaption()}, true
	}
	if poll := pollOf(m); poll != nil {
		return asked(poll), true
	}
	return s, false
}

// pollOf is the poll of a message, in whichever of the fields that WhatsApp has had for it.
func pollOf(m *waE2E.Message) *waE2E.PollCreationMessage {
	for _, poll := range []*waE2E.PollCreationMessage{
		m.GetPollCreationMessage(), m.GetPollCreationMessageV2(), m.GetPollCreationMessageV3(), m.GetPollCreationMessageV5(),
	} {
		if poll != nil {
			return poll
		}
	}
	return nil
}

// maxParts bounds the lists of a message: cards, options, mentions.
const maxParts = 256

func asked(poll *waE2E.PollCreationMessage) message.Said {
	ballot := &message.Ballot{Question: poll.GetName(), Options: []string{}, MaxChoices: int(poll.GetSelectableOptionsCount())}
	for _, option := range first(poll.GetOptions()) {
		ballot.Options = append(ballot.Options, option.GetOptionName())
	}
	return message.Said{Kind: message.Poll, Text: poll.GetName(), Poll: ballot}
}

func first[T any](all []T) []T { return all[:min(len(all), maxParts)] }

func preview(t *waE2E.ExtendedTextMessage) *message.Preview {
	if t.GetMatchedText() == "" {
		return nil
	}
	return &message.Preview{URL: t.GetMatchedText(), Title: t.GetTitle(), Description: t.GetDescription()}
}

// chosen reads what somebody picked from buttons or a list.
func chosen(m *waE2E.Message) (s message.Said, ok bool) {
	var choice message.Choice
	text := ""
	switch {
	case m.ButtonsResponseMessage != nil:
		b := m.GetButtonsResponseMessage()
		choice = message.Choice{ID: b.GetSelectedButtonID(), Title: b.GetSelectedDisplayText()}
	case m.TemplateButtonReplyMessage != nil:
		b := m.GetTemplateButtonReplyMessage()
		choice = message.Choice{ID: b.GetSelectedID(), Title: b.GetSelectedDisplayText()}
	case m.ListResponseMessage != nil:
		l := m.GetListResponseMessage()
		choice = message.Choice{ID: l.GetSingleSelectReply().GetSelectedRowID(), Title: l.GetTitle(), Description: l.GetDescription()}
	case m.InteractiveResponseMessage != nil:
		i := m.GetInteractiveResponseMessage()
		flow := i.GetNativeFlowResponseMessage()
		choice, text = message.Choice{ID: flow.GetName(), Params: flow.GetParamsJSON()}, i.GetBody().GetText()
	default:
		return s, false
	}
	if text == "" {
		text = choice.Title
	}
	return message.Said{Kind: message.Text, Text: text, Choice: &choice}, true
}

// maxDepth is deeper than any client nests its envelopes.
const maxDepth = 8

// unwrap takes a message out of envelopes that only say how to show it; whatsmeow opens each kind of them once.
func (r *reading) unwrap(m *waE2E.Message) *waE2E.Message {
	for r.depth < maxDepth {
		var inner *waE2E.Message
		for _, envelope := range []*waE2E.FutureProofMessage{
			m.GetEphemeralMessage(), m.GetViewOnceMessage(), m.GetViewOnceMessageV2(), m.GetViewOnceMessageV2Extension(),
			m.GetDocumentWithCaptionMessage(), m.GetEditedMessage(), m.GetLottieStickerMessage(), m.GetGroupMentionedMessage(),
			m.GetBotInvokeMessage(), m.GetAssociatedChildMessage(), m.GetPollCreationMessageV4(), m.GetBotForwardedMessage(),
		} {
			if envelope.GetMessage() != nil {
				inner = envelope.GetMessage()
				break
			}
		}
		if sent := m.GetDeviceSentMessage().GetMessage(); inner == nil && sent != nil {
			inner = sent
		}
		if inner == nil {
			break
		}
		r.depth++
		m = inner
	}
	return m
}

// carries is WhatsApp's name for what a message carries; empty for one that carries nothing to be shown.
func carries(m *waE2E.Message) (field string) {
	fields := m.ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		switch f := fields.Get(i); {
		case !m.ProtoReflect().Has(f):
		case f.Name() == "messageContextInfo", f.Name() == "senderKeyDistributionMessage", f.Name() == "protocolMessage",
			f.Name() == "fastRatchetKeySenderKeyDistributionMessage", f.Name() == "stickerSyncRmrMessage":
		default:
			return string(f.Name())
		}
	}
	return newer(m.ProtoReflect().GetUnknown())
}

// newer names a field by its number, because WhatsApp has added it since.
func newer(unknown protoreflect.RawFields) string {
	if number, _, n := protowire.ConsumeTag(unknown); n > 0 {
		return fmt.Sprintf("field_%d", number)
	}
	return ""
}

// finite keeps numbers out that JSON does not have.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}
