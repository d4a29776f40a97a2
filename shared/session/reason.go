package session

import "strings"

// The reasons that more than one package acts upon. The owner of a session writes them, the API reads them.
const (
	ReasonPairingTimeout     = "pairing_timeout"
	ReasonPairingRefused     = "pairing_code_refused"
	ReasonPairingRateLimited = "pairing_rate_limited"
	ReasonPairingFailed      = "pairing_failed"
	ReasonNumberTaken        = "number_taken"
	ReasonWrongNumber        = "wrong_number"
	ReasonDeviceUnreadable   = "device_unreadable"
)

// Meaning is what a reason says to a person.
type Meaning struct {
	Text   string     // one or two sentences; names no company, number or host
	Action UserAction // what the person can do about it
}

// meanings has every reason that a session can carry. Reasons that end in a number of WhatsApp's are under their prefix.
var meanings = map[string]Meaning{
	// Pairing.
	ReasonPairingTimeout:        {"Nobody linked a phone in time. Start the pairing again.", ActionRelink},
	ReasonPairingRefused:        {"WhatsApp gave no pairing code for this number. Check the number, or scan a QR code.", ActionRelink},
	ReasonPairingRateLimited:    {"Too many pairing codes were asked for this number. Wait, or scan a QR code.", ActionWait},
	ReasonPairingFailed:         {"WhatsApp did not complete the pairing. Start it again.", ActionRelink},
	ReasonNumberTaken:           {"This WhatsApp number is linked to another company. Unlink it there first, or use another number.", ActionRelink},
	ReasonWrongNumber:           {"The pairing code was typed on a phone with another number. Start the pairing again.", ActionRelink},
	"phone_without_multidevice": {"The WhatsApp on this phone is too old to link devices. Update it and scan the code again.", ActionRelink},

	// The device is no longer linked.
	"asked":                {"The session was ended as asked for. Initialize it to use it again.", ActionRelink},
	"unlink_failed":        {"The session was ended as asked for, but WhatsApp could not be reached to unlink it. Remove the device on the phone, under Linked devices.", ActionRelink},
	"device_removed":       {"The device was removed on the phone. Link the phone again.", ActionRelink},
	"main_device_gone":     {"The phone was offline for too long or WhatsApp was removed from it. Link the phone again.", ActionRelink},
	"logged_out":           {"WhatsApp logged the device out. Link the phone again.", ActionRelink},
	"unknown_logout":       {"WhatsApp logged the device out without saying why. Link the phone again.", ActionRelink},
	"device_gone":          {"The keys of the linked device are gone. Link the phone again.", ActionRelink},
	ReasonDeviceUnreadable: {"The keys of the linked device cannot be read. Restore them from a backup and restart the session, or initialize it to link the phone again.", ActionRelink},

	// Refusals.
	"temporary_ban_":      {"WhatsApp blocked the number for a while. It is connected again when the block ends; send less, and to people who know you.", ActionWait},
	"client_outdated":     {"WhatsApp no longer accepts this version of wafleet. Its operator has to update it.", ActionUpdate},
	"duplicate_session":   {"Another program uses the keys of this device. Link the phone again, so that only one has them.", ActionRelink},
	"reconnect_exhausted": {"The connection could not be restored in many attempts. It is tried again every hour; a restart tries now.", ActionNone},
	"connect_failure_":    {"WhatsApp refuses the connection for now. It is tried again by itself, at growing intervals.", ActionNone},

	// On its way back.
	"connection_lost":   {"The connection to WhatsApp was lost and comes back by itself.", ActionNone},
	"keepalive_timeout": {"WhatsApp stopped answering; the connection is made anew by itself.", ActionNone},
	"stream_replaced":   {"Another connection of the same device took over for a moment; this one comes back by itself.", ActionNone},
	"stream_error_":     {"WhatsApp closed the connection; it comes back by itself.", ActionNone},
	"breaker_open":      {"WhatsApp logged many companies out at once, which is not believed yet. The session is tried again by itself.", ActionNone},
}

// Explain returns what a reason means for people. ok is false for the empty reason and for one that is not in the table.
func Explain(reason string) (m Meaning, ok bool) {
	if m, ok = meanings[reason]; ok {
		return m, true
	}
	prefix := strings.TrimRight(reason, "0123456789")
	if !strings.HasSuffix(prefix, "_") || prefix == reason {
		return Meaning{}, false
	}
	m, ok = meanings[prefix]
	return m, ok
}

// Text is the meaning of a reason in words, or empty where it has none.
func Text(reason string) string {
	m, _ := Explain(reason)
	return m.Text
}
