package content

// Type is what a message is.
type Type string

// Types of messages. A phone can write the first group; the second only arrives.
const (
	Text     Type = "text"
	Image    Type = "image"
	Video    Type = "video"
	Audio    Type = "audio"
	Voice    Type = "voice"
	Document Type = "document"
	Sticker  Type = "sticker"
	Location Type = "location"
	Contact  Type = "contact"
	Poll     Type = "poll"
	Reaction Type = "reaction"
	Reply    Type = "reply"
	Edit     Type = "edit"
	Revoke   Type = "revoke"

	// Vote is an encrypted answer to a poll; Target is the poll.
	Vote Type = "vote"
	// Protocol is a message between devices that no chat shows.
	Protocol Type = "protocol"
	// Unknown is a message of a type that the simulator does not know.
	Unknown Type = "unknown"
)

// Content is what a message says, in the names of the control API.
type Content struct {
	Type Type `json:"type"`
	// Text is the text; the caption of a file, the name of a place or contact, the question of a poll, the emoji of a
	// reaction (none takes it back), the new text of an edit.
	Text string `json:"text,omitempty"`
	// Target is the id of the message that a reply, reaction, edit, revoke or vote refers to.
	Target string `json:"target,omitempty"`

	MimeType string `json:"mimeType,omitempty"`
	FileName string `json:"fileName,omitempty"`

	Latitude  float64 `json:"latitude,omitempty"`
	Longitude float64 `json:"longitude,omitempty"`
	Address   string  `json:"address,omitempty"`

	VCard string `json:"vcard,omitempty"`

	// Options are the answers of a poll and Selectable is how many of them one may choose; 0 is any number.
	Options    []string `json:"options,omitempty"`
	Selectable uint32   `json:"selectable,omitempty"`
}

// HasMedia reports whether messages of this type come with a file.
func (t Type) HasMedia() bool {
	switch t {
	case Image, Video, Audio, Voice, Document, Sticker:
		return true
	default:
		return false
	}
}

// VCard is the card of somebody with a phone number, as WhatsApp's apps write it.
func VCard(name, phone string) string {
	return "BEGIN:VCARD\nVERSION:3.0\nFN:" + name + "\nTEL;type=CELL;waid=" + phone + ":+" + phone + "\nEND:VCARD"
}
