package message

import "strings"

// ReasonSuppressed is the reason of a message whose recipient asked for none before it was sent.
const ReasonSuppressed = "recipient_suppressed"

// optOuts are the words that end a conversation: a message that is exactly one of them suppresses who wrote it.
var optOuts = map[string]bool{
	"STOP": true, "СТОП": true, "ОТПИСКА": true, "BAJA": true, "PARAR": true, "SAIR": true, "UNSUBSCRIBE": true,
}

// IsOptOut says that a text is one of the words by which people want to hear no more, in any case, and nothing else.
func IsOptOut(text string) bool { return optOuts[strings.ToUpper(strings.TrimSpace(text))] }
