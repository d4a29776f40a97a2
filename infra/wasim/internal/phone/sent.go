package phone

import (
	"encoding/json"
	"fmt"

	"wafleet/infra/wasim/internal/ledger"
)

// SentSize is how many messages a phone can send again when a device asks for them.
const SentSize = 1_000

// maxRetries is how often a phone asks for the same message, and answers the same request.
const maxRetries = 5

// Sent is a message that a phone wrote.
type Sent struct {
	ID string `json:"id"`
	To string `json:"to"`
	// Body is the encoded message, without the wrapping that own companions get.
	Body []byte `json:"body"`
	// LID tells that it was addressed by the hidden user ids.
	LID bool `json:"lid,omitempty"`
}

// Remember keeps a sent message, at the cost of the oldest one.
func (p *Phone) Remember(batch *ledger.Batch, sent Sent) error {
	value, err := json.Marshal(sent)
	if err != nil {
		return fmt.Errorf("encode sent message: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	batch.Put(BucketSent, p.sentKey(p.lastSlot), value)
	p.remember(&sent)
	return nil
}

// remember fills the next slot of the ring.
func (p *Phone) remember(sent *Sent) {
	slot := int(p.lastSlot % SentSize)
	if slot < len(p.sentRing) {
		delete(p.sent, p.sentRing[slot])
		p.sentRing[slot] = sent.ID
	} else {
		p.sentRing = append(p.sentRing, sent.ID)
	}
	p.sent[sent.ID] = sent
	p.lastSlot++
}

// Sent finds a message that the phone wrote.
func (p *Phone) Sent(id string) (Sent, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent, ok := p.sent[id]
	if !ok {
		return Sent{}, false
	}
	return *sent, true
}

// Retry counts how often something was retried and reports whether to do it once more. The counts of a phone that
// grew old are forgotten together.
func (p *Phone) Retry(what string) (count int, again bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.retries) > SentSize {
		clear(p.retries)
	}
	p.retries[what]++
	return p.retries[what], p.retries[what] <= maxRetries
}

// sentKey names the slot of a message. A restored ring goes on behind its last used slot.
func (p *Phone) sentKey(number uint64) string {
	return fmt.Sprintf("%s/%04x", p.number, number%SentSize)
}
