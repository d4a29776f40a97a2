package phone

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/ledger"
)

// InboxSize is how many messages a phone keeps; the oldest go first.
const InboxSize = 100_000

// Message is what a phone got, decrypted: one for each frame that arrived.
type Message struct {
	ID string `json:"id"`
	// From is the sender's account, in digits, and FromDevice its device; 0 is the phone.
	From       string `json:"from"`
	FromDevice uint16 `json:"fromDevice"`
	// To is the account the message was written to; only copies of what the account's own companions sent have another
	// one than the phone's, and FromMe set.
	To     string `json:"to"`
	FromMe bool   `json:"fromMe,omitempty"`
	content.Content
	// MediaSHA256 is the hash, in hex, of the media file that the phone downloaded and decrypted.
	MediaSHA256 string `json:"mediaSha256,omitempty"`
	// MediaError tells why there is no MediaSHA256 although the message refers to a media file.
	MediaError string `json:"mediaError,omitempty"`
	// Timestamp is when the server took the message, ReceivedAt when the phone got it; milliseconds since 1970. The
	// protocol tells the former in full seconds.
	Timestamp  int64 `json:"timestamp"`
	ReceivedAt int64 `json:"receivedAt"`
	// Duplicate marks a message that arrived before under the same id from the same account.
	Duplicate bool `json:"duplicate,omitempty"`
}

// inbox is what a phone has received.
type inbox struct {
	mu      sync.Mutex // guards everything below
	rows    []*Message
	first   uint64 // sequence number of rows[0]
	byID    map[string]*Message
	changed chan struct{} // closed and replaced when a row is added
}

// Messages returns what the phone got, oldest first.
func (p *Phone) Messages() []Message {
	rows, _ := p.Watch(0)
	return rows
}

// Watch returns what the phone got after the first n messages and a channel that is closed when there is more.
func (p *Phone) Watch(n int) ([]Message, <-chan struct{}) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	start := min(max(n-int(p.inbox.first), 0), len(p.inbox.rows)) //nolint:gosec // A count of messages.
	rows := make([]Message, 0, len(p.inbox.rows)-start)
	for _, row := range p.inbox.rows[start:] {
		rows = append(rows, *row)
	}
	return rows, p.inbox.changed
}

// Message is the first message that came under an id from an account.
func (p *Phone) Message(from, id string) (Message, bool) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	row, ok := p.inbox.byID[from+"/"+id]
	if !ok {
		return Message{}, false
	}
	return *row, true
}

// Find is the last message that came under an id from anybody else.
func (p *Phone) Find(id string) (Message, bool) {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	for _, row := range slices.Backward(p.inbox.rows) { // Mostly asked about the newest.
		if row.ID == id && !row.FromMe {
			return *row, true
		}
	}
	return Message{}, false
}

// Keep adds a message, marks it as a duplicate if it is one, and notes it in the batch.
func (p *Phone) Keep(batch *ledger.Batch, row Message) error {
	p.inbox.mu.Lock()
	defer p.inbox.mu.Unlock()
	key := row.From + "/" + row.ID
	_, row.Duplicate = p.inbox.byID[key]
	value, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	batch.Put(BucketRows, p.rowKey(p.inbox.first+uint64(len(p.inbox.rows))), value)
	p.inbox.add(key, &row)
	if len(p.inbox.rows) > InboxSize {
		batch.Delete(BucketRows, p.rowKey(p.inbox.first))
		p.inbox.dropFirst()
	}
	close(p.inbox.changed)
	p.inbox.changed = make(chan struct{})
	return nil
}

func (in *inbox) add(key string, row *Message) {
	in.rows = append(in.rows, row)
	if _, known := in.byID[key]; !known {
		in.byID[key] = row
	}
}

func (in *inbox) dropFirst() {
	oldest := in.rows[0]
	if key := oldest.From + "/" + oldest.ID; in.byID[key] == oldest {
		delete(in.byID, key)
	}
	in.rows[0] = nil
	in.rows = in.rows[1:]
	in.first++
}

func (p *Phone) rowKey(sequence uint64) string { return fmt.Sprintf("%s/%016x", p.number, sequence) }
