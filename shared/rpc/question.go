package rpc

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
)

const (
	// questionTimeout bounds a command about a question, besides the wait for the answer.
	questionTimeout = 500 * time.Millisecond
	// answerLife is how long an answer is kept for whoever asked.
	answerLife = 10 * time.Second
)

// Owner is whom a question is for: the holder of a shard, for one term.
type Owner struct {
	Shard int
	Term  uuid.UUID
}

// channel is where the owner listens.
func (o Owner) channel() string { return fmt.Sprintf("wafleet:rpc:%d:%s", o.Shard, o.Term) }

// Question is what an owner is asked about a company.
type Question struct {
	Kind      string          `json:"kind"`
	CompanyID string          `json:"companyId"`
	Body      json.RawMessage `json:"body"`
}

// answer is what comes back: a body, or a code that says why there is none.
type answer struct {
	Term uuid.UUID       `json:"term"`
	Code string          `json:"code,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
}

// Refusal is an owner's answer that there is none.
type Refusal struct{ Code string }

// Error names the code.
func (r *Refusal) Error() string { return "the owner answers: " + r.Code }

// The reasons why an owner does not answer what it was asked.
var (
	ErrOffline  = &Refusal{"offline"}  // the session is not connected
	ErrWhatsApp = &Refusal{"whatsapp"} // WhatsApp answered with an error, or not in time
	ErrFailed   = &Refusal{"failed"}   // something went wrong over there; its log says what
	ErrUnknown  = &Refusal{"unknown"}  // the owner is of a version that does not know the question
)

// Is makes refusals of the same code the same error.
func (r *Refusal) Is(target error) bool {
	other, ok := target.(*Refusal)
	return ok && other.Code == r.Code
}

func questionKey(id string) string { return "wafleet:rpc:{" + id + "}" }
func answerKey(id string) string   { return questionKey(id) + ":answer" }
