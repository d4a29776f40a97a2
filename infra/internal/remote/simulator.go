package remote

import (
	"context"
	"net/http"
	"strconv"
	"time"
)

// Simulator is the server in WhatsApp's place.
type Simulator struct{ client }

// NewSimulator returns a client of the control API at an address.
func NewSimulator(url string) *Simulator { return &Simulator{newClient(url, "")} }

// URL is the address of the control API.
func (s *Simulator) URL() string { return s.url }

// Root is what a client must know to reach and trust the simulator.
type Root struct{ NoiseRoot, CAPEM, Endpoint string }

// Root returns where clients connect to.
func (s *Simulator) Root(ctx context.Context) (root Root, err error) {
	err = s.call(ctx, http.MethodGet, "/root", nil, &root)
	return root, err
}

// AddPhone makes an account with its phone.
func (s *Simulator) AddPhone(ctx context.Context, number string) error {
	return s.call(ctx, http.MethodPost, "/phones", map[string]string{"phone": number}, nil)
}

// Scan lets a phone scan a QR code; it returns once the companion has confirmed the pairing.
func (s *Simulator) Scan(ctx context.Context, number, qr string) error {
	return s.call(ctx, http.MethodPost, "/phones/"+number+"/scan", map[string]string{"qr": qr}, nil)
}

// Message is a frame that a phone has got and decrypted.
type Message struct {
	ID         string
	ReceivedAt int64 // milliseconds since 1970, rounded down
	Duplicate  bool
}

// Arrived is when the message was on the phone, at the latest: the simulator rounds down.
func (m Message) Arrived() time.Time { return time.UnixMilli(m.ReceivedAt + 1) }

// Messages returns everything that a phone has got.
func (s *Simulator) Messages(ctx context.Context, number string) (messages []Message, err error) {
	err = s.call(ctx, http.MethodGet, "/phones/"+number+"/messages", nil, &messages)
	return messages, err
}

// Write lets a phone write a text to a number, and returns the id of the message.
func (s *Simulator) Write(ctx context.Context, from, to, text string) (id string, err error) {
	var answer struct{ ID string }
	err = s.call(ctx, http.MethodPost, "/phones/"+from+"/messages", map[string]string{"to": to, "text": text}, &answer)
	return answer.ID, err
}

// DropAll resets every connection.
func (s *Simulator) DropAll(ctx context.Context) error {
	return s.call(ctx, http.MethodPost, "/faults", map[string]string{"kind": "drop"}, nil)
}

// Row is a stanza that crossed the simulator, or the beginning ("open") or end ("close") of a connection.
type Row struct {
	N                   uint64
	T                   int64  // milliseconds since 1970
	Connection          uint64 // tells connections apart
	Direction, Tag, ID  string
	Type, Class, Device string
	Error               string // why a connection ended
}

// Journal returns the rows after the one with that number, at most a thousand.
func (s *Simulator) Journal(ctx context.Context, after uint64) (rows []Row, err error) {
	err = s.call(ctx, http.MethodGet, "/journal?after="+strconv.FormatUint(after, 10), nil, &rows)
	return rows, err
}
