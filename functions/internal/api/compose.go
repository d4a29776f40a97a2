package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/phone"
)

// maxTTL is the longest time that a message may ask to wait, and how far ahead it may be scheduled.
const maxTTL = message.MaxDelay * 24 * time.Hour

// maxClientRef is the length of the longest reference of a caller's, in bytes.
const maxClientRef = 512

// lanes are the priorities by name.
var lanes = map[contract.Priority]message.Lane{
	"high": message.LaneUrgent, "normal": message.LaneInteractive, "low": message.LaneBulk,
}

// PostMessage accepts a message of any kind.
func (a *API) PostMessage(ctx context.Context, r contract.PostMessageRequestObject) (contract.PostMessageResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	if err := checkIdempotencyKey(r.Params.IdempotencyKey); err != nil {
		return nil, err
	}
	o, err := a.compose(ctx, companyID, r.Body)
	if err != nil {
		return nil, err
	}
	o.key = r.Params.IdempotencyKey
	accepted, err := a.acceptCounted(ctx, o)
	if err != nil {
		return nil, err
	}
	status := contract.MessageStatusAccepted
	if o.dueAt == nil || accepted.replayed {
		status = a.statusAfter(ctx, companyID, accepted.messageID, r.Params.Prefer)
	}
	return contract.PostMessage202JSONResponse{
		Body: contract.MessageAccepted{Success: true, Data: contract.AcceptedMessage{MessageID: accepted.messageID, Status: status}},
		Headers: contract.PostMessage202ResponseHeaders{
			IdempotentReplayed: replayedHeader(accepted.replayed), Location: new(contract.BasePath + "/messages/" + accepted.messageID),
		},
	}, nil
}

// compose turns a request into a message, or says what is wrong with it. What may take long, or holds only for a first
// call, is left to accept.
func (a *API) compose(ctx context.Context, companyID string, r *contract.MessageRequest) (outgoing, error) {
	kind := message.Kind(r.Type)
	if !slices.Contains(message.Kinds(), kind) {
		return outgoing{}, invalid("type", "type is not one that can be sent")
	}
	if err := checkFields(kind, r); err != nil {
		return outgoing{}, err
	}
	o := outgoing{company: companyID, content: contentOf(kind, r), clientRef: r.ClientRef, asked: askedOf(r), parks: r.TTL != nil}
	if r.Contact != nil {
		digits, err := phone.Normalize(r.Contact.Phone)
		if err != nil {
			return outgoing{}, invalid("contact.phone", "contact.phone: "+err.Error())
		}
		o.content.Contact.Phone = digits
	}
	var err error
	if o.content.Mentions, err = mentions(r.Mentions); err != nil {
		return outgoing{}, err
	}
	if err := o.schedule(r); err != nil {
		return outgoing{}, err
	}
	if err := a.address(ctx, &o, r); err != nil {
		return outgoing{}, err
	}
	return o, a.attach(&o, r)
}

// schedule sets when and for how long the message may be sent.
func (o *outgoing) schedule(r *contract.MessageRequest) error {
	if r.ClientRef != nil && len(*r.ClientRef) > maxClientRef {
		return invalid("clientRef", fmt.Sprintf("clientRef must have at most %d bytes", maxClientRef))
	}
	if r.Priority != nil {
		lane, known := lanes[*r.Priority]
		if !known {
			return invalid("priority", "priority must be high, normal or low")
		}
		o.lane = lane
	}
	if r.TTL != nil {
		if *r.TTL < 1 || *r.TTL > int(maxTTL/time.Second) {
			return invalid("ttl", fmt.Sprintf("ttl must be 1 to %d seconds", int(maxTTL/time.Second)))
		}
		o.ttl = time.Duration(*r.TTL) * time.Second
	}
	if r.SendAt == nil {
		return nil
	}
	at, err := time.Parse(time.RFC3339, *r.SendAt)
	if err != nil {
		return invalid("sendAt", "sendAt must be a time as in RFC 3339, such as 2026-12-24T09:00:00+03:00")
	}
	o.dueAt = &at
	o.checks = append(o.checks, func() error {
		if ahead := time.Until(at); ahead < 0 || ahead > maxTTL {
			return invalid("sendAt", fmt.Sprintf("sendAt must be in the future, at most %d days ahead", message.MaxDelay))
		}
		return nil
	})
	return nil
}

// contentOf takes over what the content has of the request as it is.
func contentOf(kind message.Kind, r *contract.MessageRequest) message.Content {
	c := message.Content{Kind: kind}
	switch kind {
	case message.Text, message.Edit:
		c.Text = value(r.Text)
	case message.Reaction:
		c.Text = value(r.Emoji)
	case message.Location:
		if r.Latitude != nil && r.Longitude != nil {
			c.Location = &message.Place{Latitude: *r.Latitude, Longitude: *r.Longitude, Name: value(r.Name), Address: value(r.Address)}
		}
	case message.ContactCard:
		if r.Contact != nil {
			c.Contact = &message.VisitingCard{Name: r.Contact.Name, Phone: r.Contact.Phone}
		}
	case message.Poll:
		c.Text, c.Poll = value(r.Question), &message.PollOptions{Options: r.Options}
		if r.MaxChoices != nil {
			c.Poll.MaxChoices = *r.MaxChoices
		}
	default:
		c.Text = value(r.Caption)
	}
	return c
}

// checkFields refuses a field that belongs to another type, by name.
func checkFields(kind message.Kind, r *contract.MessageRequest) error {
	captioned := []message.Kind{message.Image, message.Video, message.Document}
	files := append([]message.Kind{message.Audio, message.Voice, message.Sticker}, captioned...)
	about := []message.Kind{message.Reaction, message.Edit, message.Revoke}
	for _, f := range []struct {
		name  string
		given bool
		kinds []message.Kind
	}{
		{"text", r.Text != nil, []message.Kind{message.Text, message.Edit}},
		{"linkPreview", r.LinkPreview != nil, []message.Kind{message.Text}},
		{"mediaId", r.MediaID != nil, files},
		{"mediaUrl", r.MediaURL != nil, files},
		{"mediaBase64", r.MediaBase64 != nil, files},
		{"mimeType", r.MimeType != nil, files},
		{"caption", r.Caption != nil, captioned},
		{"fileName", r.FileName != nil, captioned},
		{"latitude", r.Latitude != nil, []message.Kind{message.Location}},
		{"longitude", r.Longitude != nil, []message.Kind{message.Location}},
		{"name", r.Name != nil, []message.Kind{message.Location}},
		{"address", r.Address != nil, []message.Kind{message.Location}},
		{"contact", r.Contact != nil, []message.Kind{message.ContactCard}},
		{"question", r.Question != nil, []message.Kind{message.Poll}},
		{"options", r.Options != nil, []message.Kind{message.Poll}},
		{"maxChoices", r.MaxChoices != nil, []message.Kind{message.Poll}},
		{"messageId", r.MessageID != nil, about},
		{"emoji", r.Emoji != nil, []message.Kind{message.Reaction}},
	} {
		if f.given && !slices.Contains(f.kinds, kind) {
			return invalid(f.name, fmt.Sprintf("%s does not belong to a message of type %s", f.name, kind))
		}
	}
	if kind == message.Reaction && r.Emoji == nil {
		return invalid("emoji", "emoji is required; an empty one takes the reaction back")
	}
	if kind == message.Location && r.Latitude != nil && r.Longitude == nil {
		return invalid("longitude", "longitude is missing")
	}
	return nil
}

// askedOf is what a repeated call has to ask for: the request without whom it is for, which is hashed in its one form.
func askedOf(r *contract.MessageRequest) any {
	asked := *r
	asked.To, asked.CompanyID = nil, nil
	return asked
}

func mentions(numbers []contract.Phone) ([]string, error) {
	var mentioned []string
	for i, number := range numbers {
		digits, err := phone.Normalize(number)
		if err != nil {
			return nil, invalid("mentions", fmt.Sprintf("mentions[%d]: %s", i, err))
		}
		mentioned = append(mentioned, digits)
	}
	return mentioned, nil
}

// fieldProblem puts what is wrong with a content into the caller's terms; nil stays nil.
func fieldProblem(err error) error {
	if err == nil {
		return nil
	}
	if field, ok := errors.AsType[*message.FieldError](err); ok {
		return invalid(field.Field, field.Error())
	}
	return invalid("type", err.Error())
}

func value(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
