package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
)

// The bodies of requests: each is read exactly, whoever decodes it.

// UnmarshalJSON reads a body exactly (see Decode).
func (r *SendRequest) UnmarshalJSON(b []byte) error {
	type plain SendRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *MessageRequest) UnmarshalJSON(b []byte) error {
	type plain MessageRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *TypingRequest) UnmarshalJSON(b []byte) error {
	type plain TypingRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *MediaAnnouncement) UnmarshalJSON(b []byte) error {
	type plain MediaAnnouncement
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *SendMediaRequest) UnmarshalJSON(b []byte) error {
	type plain SendMediaRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *InitializeRequest) UnmarshalJSON(b []byte) error {
	type plain InitializeRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *PairingCodeRequest) UnmarshalJSON(b []byte) error {
	type plain PairingCodeRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *CreateWebhookRequest) UnmarshalJSON(b []byte) error {
	type plain CreateWebhookRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *CreateCompanyRequest) UnmarshalJSON(b []byte) error {
	type plain CreateCompanyRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *CreateKeyRequest) UnmarshalJSON(b []byte) error {
	type plain CreateKeyRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *UpdateCompanyRequest) UnmarshalJSON(b []byte) error {
	type plain UpdateCompanyRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *DiagnoseRequest) UnmarshalJSON(b []byte) error {
	type plain DiagnoseRequest
	return exactly(b, (*plain)(r))
}

// UnmarshalJSON reads a body exactly (see Decode).
func (r *ContactsRequest) UnmarshalJSON(b []byte) error {
	type plain ContactsRequest
	return exactly(b, (*plain)(r))
}

// exactly reads a valid JSON text into a struct: every member must be a field, written as in the contract, and given
// only once. encoding/json alone would take PHONE for phone, skip what it does not know, and let the last one win.
func exactly(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	m := members{dec: dec}
	err := m.value(reflect.TypeOf(into).Elem(), "")
	if err == nil || errors.Is(err, errOtherKind) {
		err = json.Unmarshal(b, into)
	}
	if err == nil && bytes.Equal(b, []byte("null")) {
		err = &BodyError{Problem: "must be an object"}
	}
	return AsBodyError(err)
}

// members compares the members of a text's objects with the fields of the type the text is meant for.
type members struct{ dec *json.Decoder }

var rawMessage = reflect.TypeFor[json.RawMessage]()

// value reads the next value, which goes to a field of type t. Where the value's kind is not t's, json.Unmarshal says so.
func (m members) value(t reflect.Type, path string) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == rawMessage || (t.Kind() != reflect.Struct && t.Kind() != reflect.Slice) {
		return m.skip()
	}
	token, err := m.dec.Token()
	if err != nil {
		return err //nolint:wrapcheck // AsBodyError puts it into words
	}
	switch {
	case token == json.Delim('{') && t.Kind() == reflect.Struct:
		err = m.object(t, path)
	case token == json.Delim('[') && t.Kind() == reflect.Slice:
		for i := 0; err == nil && m.dec.More(); i++ {
			err = m.value(t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
	case token == json.Delim('{'), token == json.Delim('['):
		return errOtherKind
	default:
		return nil
	}
	if err == nil {
		_, err = m.dec.Token() // the closing one
	}
	return err //nolint:wrapcheck // as above
}

func (m members) object(t reflect.Type, path string) error {
	var seen []string
	for m.dec.More() {
		token, err := m.dec.Token()
		if err != nil {
			return err //nolint:wrapcheck // as above
		}
		name, _ := token.(string) // the decoder takes nothing else for a name
		where := strings.TrimPrefix(path+"."+cmp.Or(name, `""`), ".")
		field := fieldType(t, name)
		switch {
		case field == nil:
			return &BodyError{Field: where, Problem: "is not a known field"}
		case slices.Contains(seen, name):
			return &BodyError{Field: where, Problem: "is given twice"}
		}
		seen = append(seen, name)
		if err := m.value(field, where); err != nil {
			return err
		}
	}
	return nil
}

func (m members) skip() error {
	var value json.RawMessage
	return m.dec.Decode(&value) //nolint:wrapcheck // as above
}

// fieldType returns the type of the struct's field that is called name in JSON, or nil.
func fieldType(t reflect.Type, name string) reflect.Type {
	for f := range t.Fields() {
		if tag, _, _ := strings.Cut(f.Tag.Get("json"), ","); tag == name {
			return f.Type
		}
	}
	return nil
}

// errOtherKind ends the walk where an object or an array stands in the place of the other: json.Unmarshal names it.
var errOtherKind = errors.New("value of another kind")

// AsBodyError puts an error of encoding/json into the caller's terms; nil stays nil.
func AsBodyError(err error) error {
	var body *BodyError
	var mismatch *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &body):
		return body
	case errors.As(err, &mismatch):
		return &BodyError{Field: mismatch.Field, Problem: "must be " + kindName(mismatch.Type)}
	case errors.Is(err, io.EOF):
		return &BodyError{Problem: "is missing"}
	default:
		return &BodyError{Problem: "is not valid JSON"}
	}
}

// kindName is what the contract calls a Go type.
func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	default:
		return "an object"
	}
}
