package batch

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store"
)

const (
	// MaxRecipients is the most rows of one batch.
	MaxRecipients = 10_000
	// MaxBody is the size of the largest body of a call, in bytes.
	MaxBody = 4 << 20
	// chunkRows is how many recipients are stored together and become messages in one statement. It bounds the memory that
	// feeding takes, and how long its transactions are.
	chunkRows = 500
	// maxName is the length of the longest name, in characters.
	maxName = 255
	// maxReport is the length of the longest text about a row, in bytes.
	maxReport = 200
	// maxKey is the length of the longest idempotency key, in bytes.
	maxKey = 255
	// defaultTTL is long, since pacing may make a batch take days; maxTTL is the contract's.
	defaultTTL, maxTTL = 7 * 24 * time.Hour, 30 * 24 * time.Hour
)

var errFieldKind = errors.New("must be a string, a number, true or false")

// Request is a batch that somebody wants to be sent.
type Request struct {
	CompanyID  string
	Key        *string // idempotency key
	Name       *string
	Template   contract.BatchTemplate
	Recipients []json.RawMessage
	TTL        *int // seconds
}

// contentOf is what a template says, fields and all.
func contentOf(t contract.BatchTemplate) message.Content {
	return message.Content{Kind: message.Kind(t.Type), Text: t.Text}
}

// check makes of a request what is to be stored: its valid rows in chunks, and a report of the others.
func (r Request) check() (store.NewBatch, error) {
	n := store.NewBatch{CompanyID: r.CompanyID, Name: r.Name, Total: len(r.Recipients), TTL: defaultTTL}
	template, err := r.checkWhole()
	if err != nil {
		return n, err
	}
	if r.TTL != nil {
		n.TTL = time.Duration(*r.TTL) * time.Second
	}
	n.Kind = template.content.Kind
	if n.Template, err = template.content.Encode(); err != nil {
		return n, fmt.Errorf("check batch: %w", err)
	}
	if n.KeyHash, n.BodyHash, err = r.hashes(); err != nil {
		return n, err
	}
	wanted, chunk := template.Fields(), make([]Recipient, 0, chunkRows)
	for i, raw := range r.Recipients {
		recipient, err := readRecipient(i+1, raw, wanted)
		if err == nil {
			_, err = template.Render(recipient.Fields)
		}
		if err != nil {
			n.Invalid = append(n.Invalid, invalidRow(i+1, err))
			continue
		}
		if chunk = append(chunk, recipient); len(chunk) == chunkRows {
			if n.Chunks, err = appendChunk(n.Chunks, chunk); err != nil {
				return n, err
			}
			chunk = chunk[:0]
		}
	}
	n.Chunks, err = appendChunk(n.Chunks, chunk)
	return n, err
}

// invalidRow puts a row's error into the report, as far as it can be stored and be read.
func invalidRow(row int, err error) store.InvalidRow {
	text := strings.ReplaceAll(err.Error(), "\x00", "\uFFFD")
	if len(text) > maxReport {
		text = strings.ToValidUTF8(text[:maxReport], "") + "…"
	}
	return store.InvalidRow{Row: row, Code: string(problem.Validation.Code), Message: text}
}

// checkWhole refuses what is wrong with the batch as a whole.
func (r Request) checkWhole() (Template, error) {
	switch {
	case r.Key != nil && (*r.Key == "" || len(*r.Key) > maxKey):
		return Template{}, refuse("Idempotency-Key", fmt.Sprintf("must have 1 to %d bytes", maxKey))
	case r.Name != nil && utf8.RuneCountInString(*r.Name) > maxName:
		return Template{}, refuse("name", fmt.Sprintf("must have at most %d characters", maxName))
	case len(r.Recipients) == 0:
		return Template{}, refuse("recipients", "must have at least one row")
	case len(r.Recipients) > MaxRecipients:
		return Template{}, refuse("recipients", fmt.Sprintf("must have at most %d rows", MaxRecipients))
	case r.TTL != nil && (*r.TTL < 1 || time.Duration(*r.TTL) > maxTTL/time.Second):
		return Template{}, refuse("ttl", fmt.Sprintf("must be between 1 and %d", maxTTL/time.Second))
	}
	template, err := ParseTemplate(contentOf(r.Template))
	if err != nil {
		return Template{}, refuse("template.text", err.Error())
	}
	switch err := template.check(); {
	case errors.Is(err, message.ErrUnknownKind):
		return Template{}, refuse("template.type", "is not one that can be sent")
	case err != nil:
		return Template{}, refuse("template", err.Error())
	}
	return template, nil
}

func refuse(field, text string) error {
	return problem.Validation.Saying(field+" "+text).With("field", field)
}

// hashes tell which calls are repetitions: of the key, nil without one, and of all that shapes the batch.
func (r Request) hashes() (key, body []byte, err error) {
	text, err := json.Marshal(struct {
		Name       *string
		Template   contract.BatchTemplate
		Recipients []json.RawMessage
		TTL        *int
	}{r.Name, r.Template, r.Recipients, r.TTL})
	if err != nil {
		return nil, nil, fmt.Errorf("hash batch: %w", err)
	}
	bodyHash := sha256.Sum256(text)
	if r.Key == nil {
		return nil, bodyHash[:], nil
	}
	keyHash := sha256.Sum256([]byte(*r.Key))
	return keyHash[:], bodyHash[:], nil
}

func appendChunk(chunks []store.BatchChunk, recipients []Recipient) ([]store.BatchChunk, error) {
	if len(recipients) == 0 {
		return chunks, nil
	}
	text, err := json.Marshal(recipients)
	if err != nil {
		return chunks, fmt.Errorf("encode recipients: %w", err)
	}
	return append(chunks, store.BatchChunk{FirstRow: recipients[0].Row, Rows: len(recipients), Recipients: text}), nil
}
