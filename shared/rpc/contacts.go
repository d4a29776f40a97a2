package rpc

// CheckContacts is the kind of the question which numbers are on WhatsApp: asked with ContactsAsked, answered with a
// ContactFound for each number.
const CheckContacts = "contacts.check"

// ContactsAsked has the numbers, digits only.
type ContactsAsked struct {
	Phones []string `json:"phones"`
}

// ContactFound is what WhatsApp says of a number.
type ContactFound struct {
	Phone  string `json:"phone"` // as it was asked
	Exists bool   `json:"exists"`
	JID    string `json:"jid,omitempty"` // by number, which WhatsApp may write in another form
	LID    string `json:"lid,omitempty"` // where WhatsApp tells
}
