package wa

import (
	"strings"

	"go.mau.fi/whatsmeow/proto/waE2E"

	"wafleet/shared/message"
)

// maxCard is the most that is kept of a card: beyond it is a picture.
const maxCard = 32 << 10

// cards reads persons out of an address book.
func cards(name string, all ...*waE2E.ContactMessage) message.Said {
	s := message.Said{Kind: message.ContactCard, Text: name, Contacts: []message.Card{}}
	for _, c := range first(all) {
		card := message.Card{Name: c.GetDisplayName(), Phones: phones(c.GetVcard())}
		if len(c.GetVcard()) <= maxCard {
			card.VCard = c.GetVcard()
		}
		s.Contacts = append(s.Contacts, card)
	}
	return s
}

// phones reads the numbers of a vCard, those that WhatsApp knows by what it calls them (waid).
func phones(vcard string) (found []string) {
	for line := range strings.Lines(vcard) {
		name, number, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		label, params, _ := strings.Cut(name, ";")
		if i := strings.LastIndex(label, "."); i >= 0 { // item1.TEL
			label = label[i+1:]
		}
		if !strings.EqualFold(label, "TEL") {
			continue
		}
		for param := range strings.SplitSeq(params, ";") {
			if id, ok := strings.CutPrefix(strings.ToLower(param), "waid="); ok {
				number = id
			}
		}
		if digits := onlyDigits(number); digits != "" && len(found) < maxParts {
			found = append(found, digits)
		}
	}
	return found
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
