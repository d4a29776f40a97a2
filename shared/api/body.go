package api

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// MaxDepth is how deeply the values of a body may be nested.
const MaxDepth = 32

// BodyError says why a body is not what the contract asks for.
type BodyError struct {
	Field   string // where, as in "rateLimit.burst"; empty for the body as a whole
	Problem string // what, as the end of a sentence: "must be a string"
}

// Error names the field and the problem.
func (e *BodyError) Error() string {
	if e.Field == "" {
		return "body " + e.Problem
	}
	return e.Field + " " + e.Problem
}

// CheckBody reports why a body cannot be decoded, whatever it is meant for: it has to be one JSON text, with nothing
// after it, in UTF-8, nested at most MaxDepth deep. Every error is a *BodyError.
func CheckBody(body []byte) error {
	if !utf8.Valid(body) {
		return &BodyError{Problem: "is not UTF-8"}
	}
	if depth(body) > MaxDepth {
		return &BodyError{Problem: fmt.Sprintf("is nested more than %d deep", MaxDepth)}
	}
	if !json.Valid(body) {
		return &BodyError{Problem: "is not one valid JSON document"}
	}
	return nil
}

// Decode is CheckBody, and then reads the body into one of the request types of this package, exactly: no
// field that the contract does not know, none in another spelling, none twice, each of its own type; what the contract
// leaves free, such as config, is kept as it is. Every error is a *BodyError.
func Decode(body []byte, into json.Unmarshaler) error {
	if err := CheckBody(body); err != nil {
		return err
	}
	return AsBodyError(json.Unmarshal(body, into))
}

// depth is how deeply a text nests brackets, strings left out. It runs first, so that no parser meets a deep text.
func depth(body []byte) int {
	deepest, now, inString, escaped := 0, 0, false, false
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case inString:
			escaped, inString = c == '\\', c != '"'
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
