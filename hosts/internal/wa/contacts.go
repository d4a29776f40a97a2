package wa

import (
	"context"
	"fmt"
	"strings"

	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/rpc"
)

// CheckContacts asks WhatsApp which numbers it knows, and by which addresses. It is whatsmeow's IsOnWhatsApp with a question
// for the hidden ids in the same query.
func (c *Conn) CheckContacts(ctx context.Context, phones []string) ([]rpc.ContactFound, error) {
	if !c.online() {
		return nil, fmt.Errorf("check contacts: %w", whatsmeow.ErrNotLoggedIn)
	}
	asked := make([]types.JID, len(phones))
	for i, phone := range phones {
		asked[i] = types.NewJID("+"+phone, types.LegacyUserServer)
	}
	list, err := c.client.DangerousInternals().Usync(ctx, asked, "query", "interactive", []waBinary.Node{ //nolint:staticcheck // the name warns; IsOnWhatsApp does not tell hidden ids
		{Tag: "contact"}, {Tag: "lid"},
	})
	if err != nil {
		return nil, fmt.Errorf("check contacts: %w", err)
	}
	known := make(map[string]rpc.ContactFound, len(phones))
	for _, user := range list.GetChildren() {
		if found, ok := contactFound(user); ok {
			known[found.Phone] = found
		}
	}
	found := make([]rpc.ContactFound, len(phones))
	for i, phone := range phones { // one that WhatsApp says nothing of is not known to it
		found[i] = known[phone]
		found[i].Phone = phone
	}
	return found, nil
}

// contactFound reads what WhatsApp says of one number.
func contactFound(user waBinary.Node) (f rpc.ContactFound, ok bool) {
	contact := user.GetChildByTag("contact")
	asked, _ := contact.Content.([]byte)
	number, _, _ := strings.Cut(string(asked), "@")
	f.Phone = strings.TrimPrefix(number, "+")
	jid, _ := user.Attrs["jid"].(types.JID)
	if user.Tag != "user" || f.Phone == "" {
		return f, false
	}
	if f.Exists = contact.AttrGetter().String("type") == "in" && !jid.IsEmpty(); !f.Exists {
		return f, true
	}
	f.JID = jid.ToNonAD().String()
	hidden := user.GetChildByTag("lid")
	if lid, ok := hidden.Attrs["val"].(types.JID); ok && !lid.IsEmpty() {
		f.LID = lid.ToNonAD().String()
	}
	return f, true
}
