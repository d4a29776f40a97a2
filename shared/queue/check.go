package queue

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Check reports what is wrong with a message for this queue: a *MisuseError, or ErrTooLarge. Implementations call it
// before they send, so that a message is refused by all of them or by none.
func (d Definition) Check(m Message) error {
	switch {
	case d.FIFO() && m.Group == "":
		return &MisuseError{"Group", "is required on a FIFO queue"}
	case d.FIFO() && m.DedupID == "":
		return &MisuseError{"DedupID", "is required on a FIFO queue"}
	case d.FIFO() && m.Delay != 0:
		return &MisuseError{"Delay", "is not possible on a FIFO queue"}
	case !d.FIFO() && m.DedupID != "":
		return &MisuseError{"DedupID", "is not possible on a standard queue"}
	case m.Delay < 0 || m.Delay > MaxDelay:
		return &MisuseError{"Delay", fmt.Sprintf("has to be between 0 and %v", MaxDelay)}
	case len(m.Body) > MaxBody:
		return fmt.Errorf("%d bytes: %w", len(m.Body), ErrTooLarge)
	case len(m.Body) == 0:
		return &MisuseError{"Body", "is empty"}
	case !isText(m.Body):
		return &MisuseError{"Body", "is not UTF-8 text, or has control characters"}
	}
	if err := checkName("Group", m.Group); err != nil {
		return err
	}
	return checkName("DedupID", m.DedupID)
}

// CheckBatch reports whether a call has a number of entries that can work.
func CheckBatch(entries int) error {
	if entries < 1 || entries > MaxBatch {
		return &MisuseError{"batch", fmt.Sprintf("has to have 1 to %d entries", MaxBatch)}
	}
	return nil
}

// CheckReceive reports what is wrong with the arguments of a Receive.
func CheckReceive(most int, wait, visibility time.Duration) error {
	switch {
	case most < 1 || most > MaxBatch:
		return &MisuseError{"most", fmt.Sprintf("has to be between 1 and %d", MaxBatch)}
	case wait < 0 || wait > MaxWait:
		return &MisuseError{"wait", fmt.Sprintf("has to be between 0 and %v", MaxWait)}
	}
	return CheckVisibility(visibility)
}

// CheckVisibility reports whether a visibility is out of range.
func CheckVisibility(visibility time.Duration) error {
	if visibility < 0 || visibility > MaxVisibility {
		return &MisuseError{"visibility", fmt.Sprintf("has to be between 0 and %v", MaxVisibility)}
	}
	return nil
}

// checkName holds names to what SQS accepts: printable ASCII without spaces.
func checkName(argument, name string) error {
	if len(name) > MaxName {
		return &MisuseError{argument, fmt.Sprintf("is longer than %d bytes", MaxName)}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return &MisuseError{argument, "has characters other than printable ASCII"}
	}
	return nil
}

// isText reports whether a body consists of the characters that SQS accepts, which are those of XML 1.0.
func isText(body []byte) bool {
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		switch {
		case r == utf8.RuneError && size == 1:
			return false
		case r < ' ' && r != '\t' && r != '\n' && r != '\r':
			return false
		case r == 0xFFFE || r == 0xFFFF:
			return false
		}
		body = body[size:]
	}
	return true
}
