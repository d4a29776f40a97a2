package message

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"wafleet/shared/phone"
)

// The limits of what can be sent. Lengths of text are in Unicode code points.
const (
	MaxTextLength    = 4096 // the predecessor's
	MaxCaptionLength = 1024
	MaxNameLength    = 255 // of places, contacts and files, and of the question of a poll
	MaxOptionLength  = 100
	MinOptions       = 2
	MaxOptions       = 12
	MaxMentions      = 256
	maxEmoji         = 64 // bytes: a family with a skin tone each has 41
)

// The ways in which content can be wrong that callers test for.
var (
	ErrEmptyText   = errors.New("message must not be empty")
	ErrTextTooLong = fmt.Errorf("message must have at most %d characters", MaxTextLength)
	ErrUnknownKind = errors.New("type is not one that can be sent")
)

// FieldError says which part of a content is wrong, in the names of the contract.
type FieldError struct {
	Field string
	Err   error
}

// Error says what has to be mended.
func (e *FieldError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *FieldError) Unwrap() error { return e.Err }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Err: fmt.Errorf(field+" "+format, args...)}
}

// rule is what a kind needs. Each check returns a *FieldError or nil.
type rule struct {
	checks    []func(Content) error
	parts     parts // which optional parts the content may have
	addressed bool  // whether it may answer a message
	mentions  bool
}

// parts names the parts of a content that belong to some kinds only.
type parts struct{ media, location, contact, poll, target, preview bool }

var rules = map[Kind]rule{
	Text:        {checks: []func(Content) error{checkText}, parts: parts{preview: true}, addressed: true, mentions: true},
	Image:       {checks: []func(Content) error{checkCaption, checkMedia}, parts: parts{media: true}, addressed: true, mentions: true},
	Video:       {checks: []func(Content) error{checkCaption, checkMedia}, parts: parts{media: true}, addressed: true, mentions: true},
	Document:    {checks: []func(Content) error{checkCaption, checkMedia}, parts: parts{media: true}, addressed: true, mentions: true},
	Audio:       {checks: []func(Content) error{checkNoCaption, checkMedia}, parts: parts{media: true}, addressed: true},
	Voice:       {checks: []func(Content) error{checkNoCaption, checkMedia}, parts: parts{media: true}, addressed: true},
	Sticker:     {checks: []func(Content) error{checkNoCaption, checkMedia}, parts: parts{media: true}, addressed: true},
	Location:    {checks: []func(Content) error{checkNoText, checkLocation}, parts: parts{location: true}, addressed: true},
	ContactCard: {checks: []func(Content) error{checkNoText, checkContact}, parts: parts{contact: true}, addressed: true},
	Poll:        {checks: []func(Content) error{checkQuestion, checkBallot}, parts: parts{poll: true}, addressed: true},
	Reaction:    {checks: []func(Content) error{checkTarget, checkEmoji}, parts: parts{target: true}},
	Edit:        {checks: []func(Content) error{checkTarget, checkText}, parts: parts{target: true}, mentions: true},
	Revoke:      {checks: []func(Content) error{checkTarget, checkNoText}, parts: parts{target: true}},
}

// Validate returns what a caller has to mend, or nil. But for ErrUnknownKind every error is a *FieldError.
func (c Content) Validate() error {
	r, known := rules[c.Kind]
	if !known {
		return ErrUnknownKind
	}
	for _, check := range r.checks {
		if err := check(c); err != nil {
			return err
		}
	}
	return c.checkParts(r)
}

// checkParts refuses what a message of another kind would have.
func (c Content) checkParts(r rule) error {
	has := parts{c.Media != nil, c.Location != nil, c.Contact != nil, c.Poll != nil, c.Target != nil, c.Preview != nil}
	for _, part := range []struct {
		name     string
		has, may bool
	}{
		{"media", has.media, r.parts.media},
		{"location", has.location, r.parts.location},
		{"contact", has.contact, r.parts.contact},
		{"options", has.poll, r.parts.poll},
		{"messageId", has.target, r.parts.target},
		{"linkPreview", has.preview, r.parts.preview},
		{"replyTo", c.ReplyTo != nil, r.addressed},
		{"mentions", len(c.Mentions) > 0, r.mentions},
	} {
		if part.has && !part.may {
			return wrong(part.name, "does not belong to a message of type %s", c.Kind)
		}
	}
	return c.checkMentions()
}

func (c Content) checkMentions() error {
	if len(c.Mentions) > MaxMentions {
		return wrong("mentions", "must name at most %d numbers", MaxMentions)
	}
	for i, number := range c.Mentions {
		if digits, err := phone.Normalize(number); err != nil || digits != number {
			return wrong("mentions", "must be phone numbers: number %d is none", i+1)
		}
	}
	return nil
}

func checkText(c Content) error {
	switch {
	case strings.TrimSpace(c.Text) == "":
		return &FieldError{Field: "text", Err: ErrEmptyText}
	case utf8.RuneCountInString(c.Text) > MaxTextLength:
		return &FieldError{Field: "text", Err: ErrTextTooLong}
	}
	return nil
}

func checkNoText(c Content) error {
	if c.Text != "" {
		return wrong("text", "does not belong to a message of type %s", c.Kind)
	}
	return nil
}

func checkCaption(c Content) error {
	if utf8.RuneCountInString(c.Text) > MaxCaptionLength {
		return wrong("caption", "must have at most %d characters", MaxCaptionLength)
	}
	return nil
}

func checkNoCaption(c Content) error {
	if c.Text != "" {
		return wrong("caption", "does not belong to a message of type %s", c.Kind)
	}
	return nil
}

func checkMedia(c Content) error {
	if c.Media == nil || c.Media.ID == "" {
		return wrong("mediaId", "is missing")
	}
	return CheckFileName(c.Media.FileName)
}

// CheckFileName returns why a text cannot be the name of a file, or nil; it may be empty.
func CheckFileName(name string) error {
	switch {
	case utf8.RuneCountInString(name) > MaxNameLength:
		return wrong("fileName", "must have at most %d characters", MaxNameLength)
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || r == '\\' || unicode.IsControl(r) }):
		return wrong("fileName", "must not hold slashes or control characters")
	}
	return nil
}

func checkLocation(c Content) error {
	switch l := c.Location; {
	case l == nil:
		return wrong("latitude", "is missing")
	case math.IsNaN(l.Latitude) || math.Abs(l.Latitude) > 90:
		return wrong("latitude", "must be -90 to 90")
	case math.IsNaN(l.Longitude) || math.Abs(l.Longitude) > 180:
		return wrong("longitude", "must be -180 to 180")
	case utf8.RuneCountInString(l.Name) > MaxNameLength:
		return wrong("name", "must have at most %d characters", MaxNameLength)
	case utf8.RuneCountInString(l.Address) > MaxCaptionLength:
		return wrong("address", "must have at most %d characters", MaxCaptionLength)
	}
	return nil
}

func checkContact(c Content) error {
	if c.Contact == nil {
		return wrong("contact", "is missing")
	}
	if err := checkLine("contact.name", c.Contact.Name, MaxNameLength); err != nil {
		return err
	}
	if digits, err := phone.Normalize(c.Contact.Phone); err != nil || digits != c.Contact.Phone {
		return wrong("contact.phone", "must be a phone number of 10 to 15 digits")
	}
	return nil
}

func checkQuestion(c Content) error { return checkLine("question", c.Text, MaxNameLength) }

func checkBallot(c Content) error {
	if c.Poll == nil || len(c.Poll.Options) < MinOptions || len(c.Poll.Options) > MaxOptions {
		return wrong("options", "must be %d to %d", MinOptions, MaxOptions)
	}
	for i, option := range c.Poll.Options {
		if err := checkLine("options", option, MaxOptionLength); err != nil {
			return err
		}
		if slices.Contains(c.Poll.Options[:i], option) {
			return wrong("options", "must differ from each other")
		}
	}
	if c.Poll.MaxChoices < 0 || c.Poll.MaxChoices > len(c.Poll.Options) {
		return wrong("maxChoices", "must be 0, which is any number, to the number of options")
	}
	return nil
}

// checkLine is for a text that has to be there and has to be short.
func checkLine(field, text string, most int) error {
	if strings.TrimSpace(text) == "" {
		return wrong(field, "must not be empty")
	}
	if utf8.RuneCountInString(text) > most {
		return wrong(field, "must have at most %d characters", most)
	}
	return nil
}

func checkTarget(c Content) error {
	if c.Target == nil || c.Target.WAMessageID == "" || c.Target.Chat == "" {
		return wrong("messageId", "is missing")
	}
	return nil
}

// checkEmoji refuses what is surely no emoji; what is one is for WhatsApp to say.
func checkEmoji(c Content) error {
	plain := strings.ContainsFunc(c.Text, func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsSpace(r) || unicode.IsControl(r)
	})
	if plain || len(c.Text) > maxEmoji {
		return wrong("emoji", "must be one emoji, or empty to take the reaction back")
	}
	return nil
}
