package message

import (
	"errors"
	"regexp"
	"strings"

	"wafleet/shared/phone"
)

// ErrBadRecipient says that a text names nobody a message could be sent to.
var ErrBadRecipient = errors.New("must be a phone number of 10 to 15 digits, a hidden id (…@lid) or a group (…@g.us)")

const (
	lidServer   = "@lid"
	groupServer = "@g.us"
)

var (
	lidForm   = regexp.MustCompile(`^[0-9]{1,20}@lid$`)
	groupForm = regexp.MustCompile(`^[0-9]{5,25}(-[0-9]{5,20})?@g\.us$`)
)

// ParseRecipient returns the address of whom a text names, in the one form that is stored and compared: the digits of a
// phone number, "<digits>@lid" or "<id>@g.us". The error is ErrBadRecipient.
func ParseRecipient(text string) (string, error) {
	if lidForm.MatchString(text) || groupForm.MatchString(text) {
		return text, nil
	}
	for _, server := range []string{"@s.whatsapp.net", "@c.us"} { // people copy addresses out of WhatsApp libraries
		text = strings.TrimSuffix(text, server)
	}
	digits, err := phone.Normalize(text)
	if err != nil {
		return "", ErrBadRecipient
	}
	return digits, nil
}

// IsGroup says whether an address is a group's.
func IsGroup(address string) bool { return strings.HasSuffix(address, groupServer) }

// IsLID says whether an address is somebody's hidden id.
func IsLID(address string) bool { return strings.HasSuffix(address, lidServer) }

// LIDAddress is the address of a hidden id that is given without its server, as Contact has it.
func LIDAddress(id string) string { return strings.TrimSuffix(id, lidServer) + lidServer }

// ContactOf names whoever has the address.
func ContactOf(address string) Contact {
	if id, ok := strings.CutSuffix(address, lidServer); ok {
		return Contact{LID: id}
	}
	if IsGroup(address) {
		return Contact{Group: address}
	}
	return Contact{Phone: address}
}
