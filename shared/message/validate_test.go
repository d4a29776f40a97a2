package message_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

var target = &message.Ref{MessageID: "3EB0", WAMessageID: "3EB0", Chat: "79001234567", FromMe: true}

// valid has one message of every kind.
func valid() map[message.Kind]message.Content {
	file := &message.Media{ID: "med_1", MimeType: "image/jpeg"}
	return map[message.Kind]message.Content{
		message.Text:        {Text: "hi", ReplyTo: target, Mentions: []string{"79001234567"}, Preview: &message.LinkPreview{URL: "https://example.com"}},
		message.Image:       {Text: "caption", Media: file, ReplyTo: target, Mentions: []string{"79001234567"}},
		message.Video:       {Media: file},
		message.Audio:       {Media: file, ReplyTo: target},
		message.Voice:       {Media: file},
		message.Document:    {Text: "caption", Media: &message.Media{ID: "med_1", FileName: "price list.pdf"}},
		message.Sticker:     {Media: file},
		message.Location:    {Location: &message.Place{Latitude: -90, Longitude: 180, Name: "here"}},
		message.ContactCard: {Contact: &message.VisitingCard{Name: "Anna", Phone: "79001234567"}},
		message.Poll:        {Text: "Tea?", Poll: &message.PollOptions{Options: []string{"yes", "no"}, MaxChoices: 1}},
		message.Reaction:    {Text: "👨‍👩‍👧‍👦", Target: target},
		message.Edit:        {Text: "hello", Target: target},
		message.Revoke:      {Target: target},
	}
}

func TestEveryKindCanBeValid(t *testing.T) {
	t.Parallel()
	all := valid()
	for _, kind := range message.Kinds() {
		c, ok := all[kind]
		require.True(t, ok, kind)
		c.Kind = kind
		require.NoError(t, c.Validate(), kind)

		b, err := c.Encode()
		require.NoError(t, err)
		back, err := message.DecodeContent(b)
		require.NoError(t, err)
		require.Equal(t, c, back)
	}
	require.Len(t, all, len(message.Kinds()))
}

func TestWhatEachKindRefuses(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("я", n) }
	many := make([]string, message.MaxMentions+1)
	for i := range many {
		many[i] = "79001234567"
	}
	options := func(n int) *message.PollOptions {
		b := &message.PollOptions{}
		for i := range n {
			b.Options = append(b.Options, strings.Repeat("a", i+1))
		}
		return b
	}
	for name, tc := range map[string]struct {
		kind   message.Kind
		change func(*message.Content)
		field  string
	}{
		"long caption":              {message.Image, func(c *message.Content) { c.Text = long(message.MaxCaptionLength + 1) }, "caption"},
		"no media":                  {message.Image, func(c *message.Content) { c.Media = nil }, "mediaId"},
		"media without id":          {message.Document, func(c *message.Content) { c.Media = &message.Media{} }, "mediaId"},
		"file name with a path":     {message.Document, func(c *message.Content) { c.Media.FileName = "../x" }, "fileName"},
		"file name with a newline":  {message.Document, func(c *message.Content) { c.Media.FileName = "a\nb" }, "fileName"},
		"file name too long":        {message.Document, func(c *message.Content) { c.Media.FileName = long(256) }, "fileName"},
		"voice with caption":        {message.Voice, func(c *message.Content) { c.Text = "x" }, "caption"},
		"voice with mentions":       {message.Voice, func(c *message.Content) { c.Mentions = many[:1] }, "mentions"},
		"sticker with location":     {message.Sticker, func(c *message.Content) { c.Location = &message.Place{} }, "location"},
		"no location":               {message.Location, func(c *message.Content) { c.Location = nil }, "latitude"},
		"latitude too far north":    {message.Location, func(c *message.Content) { c.Location.Latitude = 90.001 }, "latitude"},
		"latitude is no number":     {message.Location, func(c *message.Content) { c.Location.Latitude = math.NaN() }, "latitude"},
		"longitude too far west":    {message.Location, func(c *message.Content) { c.Location.Longitude = -180.5 }, "longitude"},
		"location with text":        {message.Location, func(c *message.Content) { c.Text = "x" }, "text"},
		"place with a long name":    {message.Location, func(c *message.Content) { c.Location.Name = long(256) }, "name"},
		"place with a long address": {message.Location, func(c *message.Content) { c.Location.Address = long(1025) }, "address"},
		"no contact":                {message.ContactCard, func(c *message.Content) { c.Contact = nil }, "contact"},
		"contact without name":      {message.ContactCard, func(c *message.Content) { c.Contact.Name = " " }, "contact.name"},
		"contact without number":    {message.ContactCard, func(c *message.Content) { c.Contact.Phone = "12" }, "contact.phone"},
		"contact not in digits":     {message.ContactCard, func(c *message.Content) { c.Contact.Phone = "+79001234567" }, "contact.phone"},
		"poll without question":     {message.Poll, func(c *message.Content) { c.Text = "" }, "question"},
		"poll without options":      {message.Poll, func(c *message.Content) { c.Poll = nil }, "options"},
		"poll with one option":      {message.Poll, func(c *message.Content) { c.Poll = options(1) }, "options"},
		"poll with 13 options":      {message.Poll, func(c *message.Content) { c.Poll = options(13) }, "options"},
		"poll with equal options":   {message.Poll, func(c *message.Content) { c.Poll.Options = []string{"a", "a"} }, "options"},
		"poll with an empty option": {message.Poll, func(c *message.Content) { c.Poll.Options = []string{"a", ""} }, "options"},
		"poll with a long option":   {message.Poll, func(c *message.Content) { c.Poll.Options = []string{"a", long(101)} }, "options"},
		"more choices than options": {message.Poll, func(c *message.Content) { c.Poll.MaxChoices = 3 }, "maxChoices"},
		"less than no choice":       {message.Poll, func(c *message.Content) { c.Poll.MaxChoices = -1 }, "maxChoices"},
		"reaction to nothing":       {message.Reaction, func(c *message.Content) { c.Target = nil }, "messageId"},
		"reaction in words":         {message.Reaction, func(c *message.Content) { c.Text = "fine" }, "emoji"},
		"reaction with a space":     {message.Reaction, func(c *message.Content) { c.Text = "👍 👍" }, "emoji"},
		"reaction too long":         {message.Reaction, func(c *message.Content) { c.Text = strings.Repeat("👍", 17) }, "emoji"},
		"reaction that answers":     {message.Reaction, func(c *message.Content) { c.ReplyTo = target }, "replyTo"},
		"edit of nothing":           {message.Edit, func(c *message.Content) { c.Target = &message.Ref{} }, "messageId"},
		"edit to nothing":           {message.Edit, func(c *message.Content) { c.Text = " " }, "text"},
		"edit too long":             {message.Edit, func(c *message.Content) { c.Text = long(4097) }, "text"},
		"revoke with text":          {message.Revoke, func(c *message.Content) { c.Text = "x" }, "text"},
		"text about a message":      {message.Text, func(c *message.Content) { c.Target = target }, "messageId"},
		"text with a file":          {message.Text, func(c *message.Content) { c.Media = &message.Media{} }, "media"},
		"text with a poll":          {message.Text, func(c *message.Content) { c.Poll = options(2) }, "options"},
		"image with a contact":      {message.Image, func(c *message.Content) { c.Contact = &message.VisitingCard{} }, "contact"},
		"image with a preview":      {message.Image, func(c *message.Content) { c.Preview = &message.LinkPreview{} }, "linkPreview"},
		"too many mentions":         {message.Text, func(c *message.Content) { c.Mentions = many }, "mentions"},
		"a mention of nobody":       {message.Text, func(c *message.Content) { c.Mentions = []string{"Anna"} }, "mentions"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := valid()[tc.kind]
			c.Kind = tc.kind
			tc.change(&c)
			var field *message.FieldError
			require.ErrorAs(t, c.Validate(), &field)
			require.Equal(t, tc.field, field.Field)
		})
	}
}

func TestRecipients(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"+7 (900) 123-45-67":          "79001234567",
		"79001234567@s.whatsapp.net":  "79001234567",
		"79001234567@c.us":            "79001234567",
		"123456789012345@lid":         "123456789012345@lid",
		"120363041234567890@g.us":     "120363041234567890@g.us",
		"79001234567-1600000000@g.us": "79001234567-1600000000@g.us",
	} {
		got, err := message.ParseRecipient(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := message.ParseRecipient(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, bad := range []string{"", "@lid", "x@lid", "1@g.us", "79001234567@example.com", "7900@c.us1234567", "1:2@lid", "1@lid ", "status@broadcast", "٧٩٠٠١٢٣٤٥٦٧"} {
		_, err := message.ParseRecipient(bad)
		require.ErrorIs(t, err, message.ErrBadRecipient, bad)
	}
	require.True(t, message.IsGroup("120363041234567890@g.us"))
	require.True(t, message.IsLID("1@lid"))
	require.Equal(t, message.Contact{LID: "1"}, message.ContactOf("1@lid"))
	require.Equal(t, message.Contact{Phone: "79001234567"}, message.ContactOf("79001234567"))
	require.Equal(t, message.Contact{Group: "12345@g.us"}, message.ContactOf("12345@g.us"))
	require.Equal(t, "1@lid", message.LIDAddress("1"))
	require.Equal(t, "1@lid", message.LIDAddress("1@lid"))
}

func FuzzParseRecipient(f *testing.F) {
	for _, seed := range []string{"+7 900 123-45-67", "1@lid", "120363041234567890@g.us", "a@c.us"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		address, err := message.ParseRecipient(text)
		if err != nil {
			require.ErrorIs(t, err, message.ErrBadRecipient)
			return
		}
		again, err := message.ParseRecipient(address)
		require.NoError(t, err)
		require.Equal(t, address, again)
		require.Less(t, len(address), 64, "the column has no room for more")
	})
}
