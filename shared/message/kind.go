package message

import "slices"

// Kind is what a message carries.
type Kind string

// The kinds of messages. All can be received, and all before Unsupported can be sent.
const (
	Text        Kind = "text"
	Image       Kind = "image"
	Video       Kind = "video"
	Audio       Kind = "audio"
	Voice       Kind = "voice"
	Document    Kind = "document"
	Sticker     Kind = "sticker"
	Location    Kind = "location"
	ContactCard Kind = "contact"
	Poll        Kind = "poll"
	Reaction    Kind = "reaction"
	Edit        Kind = "edit"
	Revoke      Kind = "revoke"

	Unsupported   Kind = "unsupported"   // of a kind this version does not know
	Vote          Kind = "vote"          // in a poll
	Call          Kind = "call"          // that was not answered here
	Undecryptable Kind = "undecryptable" // in the place of a message whose sender was asked for it again
)

// Kinds lists what can be sent.
func Kinds() []Kind {
	return []Kind{Text, Image, Video, Audio, Voice, Document, Sticker, Location, ContactCard, Poll, Reaction, Edit, Revoke}
}

// HasMedia says whether messages of this kind come with a file.
func (k Kind) HasMedia() bool {
	return slices.Contains([]Kind{Image, Video, Audio, Voice, Document, Sticker}, k)
}

// About says whether messages of this kind only say something of another one, and so go to its chat.
func (k Kind) About() bool { return k == Reaction || k == Edit || k == Revoke }
