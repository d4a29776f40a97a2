package content

// StanzaType is the type attribute of the stanza that carries a message of this type.
func (t Type) StanzaType() string {
	switch {
	case t == Reaction:
		return "reaction"
	case t == Poll:
		return "poll"
	case t.MediaType() != "":
		return "media"
	default:
		return "text"
	}
}

// MediaType is the mediatype attribute of the ciphertext in the stanza; empty for messages without one.
func (t Type) MediaType() string {
	switch t {
	case Image, Video, Audio, Document, Sticker:
		return string(t)
	case Voice:
		return "ptt"
	case Contact:
		return "vcard"
	default:
		return ""
	}
}

// EditAttribute marks stanzas that change a message the recipient has; empty for others.
func (c Content) EditAttribute() string {
	switch {
	case c.Type == Edit:
		return "1"
	case c.Type == Revoke, c.Type == Reaction && c.Text == "":
		return "7"
	default:
		return ""
	}
}
