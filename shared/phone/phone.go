package phone

import (
	"errors"
	"strings"
)

// ErrInvalid says that a text is not a phone number in international form.
var ErrInvalid = errors.New("phone number must have 10 to 15 digits")

// The predecessor's limits: ^[0-9]{10,15}$.
const (
	minDigits = 10
	maxDigits = 15
)

var punctuation = strings.NewReplacer("+", "", " ", "", "-", "", "(", "", ")", "", ".", "")

// Normalize strips the punctuation people write into numbers and returns the bare digits,
// or ErrInvalid. Letters and digits of other scripts are refused, never guessed at.
func Normalize(s string) (string, error) {
	digits := punctuation.Replace(s)
	if len(digits) < minDigits || len(digits) > maxDigits {
		return "", ErrInvalid
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return "", ErrInvalid
		}
	}
	return digits, nil
}

// Redact keeps enough of a number to recognise it in a log and too little to call it.
func Redact(digits string) string {
	const head, tail = 3, 2
	if len(digits) <= head+tail {
		return "***"
	}
	return digits[:head] + "***" + digits[len(digits)-tail:]
}
