package phone

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	"go.mau.fi/whatsmeow/util/keys"

	"wafleet/infra/wasim/internal/ledger"
)

// Buckets of a phone in the ledger. Their keys begin with the number and a slash.
const (
	BucketSessions ledger.Bucket = "sessions" // number/peer
	BucketPreKeys  ledger.Bucket = "phonekeys"
	BucketRows     ledger.Bucket = "rows" // number/sequence
	BucketSent     ledger.Bucket = "sent" // number/slot
)

// maxRegistrationID bounds the registration ids of Signal.
const maxRegistrationID = 16380

// Phone is the primary device of an account. Create it with [New] or [Restore].
type Phone struct {
	number       string
	registration uint32
	identity     *keys.KeyPair
	signed       *keys.PreKey

	keysMu  sync.Mutex // guards the one-time prekeys
	oneTime map[uint32]*keys.KeyPair
	lastKey uint32

	mu       sync.Mutex // guards the sessions and what was sent
	sessions map[string][]byte
	sent     map[string]*Sent
	sentRing []string
	lastSlot uint64
	retries  map[string]int

	inbox inbox
}

// secrets is the record of what a phone never changes.
type secrets struct {
	Registration    uint32 `json:"registration"`
	Identity        []byte `json:"identity"`
	SignedKey       []byte `json:"signedKey"`
	SignedSignature []byte `json:"signedSignature"`
}

// signedKeyID is the id of the one signed prekey a phone has.
const signedKeyID = 1

// New makes a phone with fresh keys.
func New(number string) (*Phone, error) {
	registration, err := rand.Int(rand.Reader, big.NewInt(maxRegistrationID))
	if err != nil {
		return nil, fmt.Errorf("choose registration id: %w", err)
	}
	identity := keys.NewKeyPair()
	return assemble(number, uint32(registration.Uint64())+1, identity, identity.CreateSignedPreKey(signedKeyID)), nil //nolint:gosec // Bounded above.
}

func assemble(number string, registration uint32, identity *keys.KeyPair, signed *keys.PreKey) *Phone {
	return &Phone{
		number: number, registration: registration, identity: identity, signed: signed,
		oneTime: make(map[uint32]*keys.KeyPair), sessions: make(map[string][]byte),
		sent: make(map[string]*Sent), retries: make(map[string]int),
		inbox: inbox{byID: make(map[string]*Message), changed: make(chan struct{})},
	}
}

// Secrets encodes the keys that a phone never changes, for [Restore].
func (p *Phone) Secrets() ([]byte, error) {
	encoded, err := json.Marshal(secrets{
		Registration: p.registration, Identity: p.identity.Priv[:],
		SignedKey: p.signed.Priv[:], SignedSignature: p.signed.Signature[:],
	})
	if err != nil {
		return nil, fmt.Errorf("encode phone: %w", err)
	}
	return encoded, nil
}

// Restore makes a phone out of its secrets. Sessions, prekeys and messages follow by [Phone.RestoreRecord].
func Restore(number string, encoded []byte) (*Phone, error) {
	var s secrets
	if err := json.Unmarshal(encoded, &s); err != nil {
		return nil, fmt.Errorf("decode phone: %w", err)
	}
	if len(s.Identity) != 32 || len(s.SignedKey) != 32 || len(s.SignedSignature) != 64 {
		return nil, fmt.Errorf("decode phone: %w", errRecord)
	}
	signature := [64]byte(s.SignedSignature)
	signed := &keys.PreKey{
		KeyPair: *keys.NewKeyPairFromPrivateKey([32]byte(s.SignedKey)), KeyID: signedKeyID, Signature: &signature,
	}
	return assemble(number, s.Registration, keys.NewKeyPairFromPrivateKey([32]byte(s.Identity)), signed), nil
}

// Identity is the phone's key pair. Companions are certified with it.
func (p *Phone) Identity() *keys.KeyPair { return p.identity }

// Registration is the phone's Signal registration id as four bytes.
func (p *Phone) Registration() []byte { return binary.BigEndian.AppendUint32(nil, p.registration) }

// SignedPreKey is the phone's signed prekey.
func (p *Phone) SignedPreKey() *keys.PreKey { return p.signed }

// TakePreKey makes a one-time prekey for somebody who asks for the phone's keys. A phone never runs out of them.
func (p *Phone) TakePreKey(batch *ledger.Batch) *keys.PreKey {
	pair := keys.NewKeyPair()
	p.keysMu.Lock()
	defer p.keysMu.Unlock()
	p.lastKey++
	p.oneTime[p.lastKey] = pair
	batch.Put(BucketPreKeys, fmt.Sprintf("%s/%06x", p.number, p.lastKey), pair.Priv[:])
	return &keys.PreKey{KeyPair: *pair, KeyID: p.lastKey}
}

func (p *Phone) oneTimeKey(id uint32) *keys.KeyPair {
	p.keysMu.Lock()
	defer p.keysMu.Unlock()
	return p.oneTime[id]
}

func (p *Phone) removeOneTimeKey(batch *ledger.Batch, id uint32) {
	p.keysMu.Lock()
	defer p.keysMu.Unlock()
	delete(p.oneTime, id)
	batch.Delete(BucketPreKeys, fmt.Sprintf("%s/%06x", p.number, id))
}
