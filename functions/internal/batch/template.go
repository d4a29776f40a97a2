package batch

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"wafleet/shared/message"
)

// The ways in which a template can be wrong.
var (
	errOpenField  = errors.New("has {{ without }}")
	errEmptyField = errors.New("has a field without a name")
	errLongField  = fmt.Errorf("has a field whose name is longer than %d bytes", maxFieldName)
)

const (
	// maxFieldName bounds what a report of ten thousand rows without that field takes.
	maxFieldName = 100
	// maxRendered bounds what one row can be blown up to. No valid text is longer, whatever it is made of.
	maxRendered = message.MaxTextLength * utf8.UTFMax
)

// Template is content whose text has fields, written {{name}}. Everything else of the content is the same for everybody.
type Template struct {
	content message.Content
	parts   []part
}

// part is literal text or a field.
type part struct {
	text  string
	field bool
}

// ParseTemplate finds the fields in a content's text.
func ParseTemplate(content message.Content) (Template, error) {
	t := Template{content: content}
	for rest := content.Text; rest != ""; {
		literal, after, found := strings.Cut(rest, "{{")
		if literal != "" {
			t.parts = append(t.parts, part{text: literal})
		}
		if !found {
			break
		}
		name, following, closed := strings.Cut(after, "}}")
		if !closed {
			return Template{}, errOpenField
		}
		if name = strings.TrimSpace(name); name == "" {
			return Template{}, errEmptyField
		}
		if len(name) > maxFieldName {
			return Template{}, errLongField
		}
		t.parts, rest = append(t.parts, part{text: name, field: true}), following
	}
	return t, nil
}

// Fields returns the names of the fields.
func (t Template) Fields() map[string]bool {
	names := make(map[string]bool)
	for _, p := range t.parts {
		if p.field {
			names[p.text] = true
		}
	}
	return names
}

// Render fills in the fields. What they hold is taken literally, braces included. The result is valid content, or the error
// says why it is not.
func (t Template) Render(fields map[string]string) (message.Content, error) {
	var text strings.Builder
	for _, p := range t.parts {
		if !p.field {
			text.WriteString(p.text)
			continue
		}
		value, known := fields[p.text]
		if !known {
			return message.Content{}, fmt.Errorf("fields: %q is missing", p.text)
		}
		if text.Len()+len(value) > maxRendered {
			return message.Content{}, fmt.Errorf("template: %w", message.ErrTextTooLong)
		}
		text.WriteString(value)
	}
	content := t.content
	content.Text = text.String()
	if err := content.Validate(); err != nil {
		return message.Content{}, fmt.Errorf("template: %w", err)
	}
	return content, nil
}

// check renders the template with something short in each field, to find out whether it can be valid at all.
func (t Template) check() error {
	fields := make(map[string]string)
	for name := range t.Fields() {
		fields[name] = "x"
	}
	_, err := t.Render(fields)
	return err
}
