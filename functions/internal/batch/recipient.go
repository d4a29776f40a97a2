package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	contract "wafleet/shared/api"
	"wafleet/shared/phone"
)

// Recipient is one valid row, as it is stored until it becomes a message.
type Recipient struct {
	Row    int               `json:"row"` // counted from 1
	To     string            `json:"to"`  // digits
	Fields map[string]string `json:"fields,omitempty"`
}

// readRecipient reads one row and keeps those of its fields that are asked for. The error is for the caller.
func readRecipient(row int, raw json.RawMessage, wanted map[string]bool) (Recipient, error) {
	var given contract.BatchRecipient
	if err := contract.AsBodyError(json.Unmarshal(raw, &given)); err != nil {
		return Recipient{}, inRow(err)
	}
	to, err := phone.Normalize(given.To)
	if err != nil {
		return Recipient{}, fmt.Errorf("to: %w", err)
	}
	r := Recipient{Row: row, To: to, Fields: make(map[string]string, len(wanted))}
	for _, name := range slices.Sorted(maps.Keys(given.Fields)) {
		value, err := fieldText(given.Fields[name])
		if err != nil {
			return Recipient{}, fmt.Errorf("fields: %q %w", name, err)
		}
		if wanted[name] {
			r.Fields[name] = value
		}
	}
	return r, nil
}

// inRow speaks of the row where the contract's decoder speaks of the body.
func inRow(err error) error {
	if whole, ok := errors.AsType[*contract.BodyError](err); ok && whole.Field == "" {
		return &contract.BodyError{Field: "row", Problem: whole.Problem}
	}
	return err
}

// fieldText is a field's value as it appears in a message: a string's text, or a number, true or false as it was written.
func fieldText(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", fmt.Errorf("read text: %w", err)
		}
		return text, nil
	case '{', '[', 'n':
		return "", errFieldKind
	}
	return string(raw), nil
}
