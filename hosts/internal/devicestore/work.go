package devicestore

import (
	"context"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/store"
)

// work is one sequence of reads and writes: a send under WithAbort, or a decryption. What it has read answers what
// libsignal asks next, and what it has to store is collected, so that each of the two is one statement.
//
// That the identity of a peer is read with its session and believed until the work is done is safe, because whoever
// deletes an identity steps the session: the work is stale then, and stores nothing.
type work struct {
	mu     sync.Mutex
	readAt map[string]uint64 // address -> time of reading its session

	known map[string]*[32]byte // address -> identity, nil for none
	batch batch                // to be stored

	// transaction is set for a decryption, whose writes count only when it ends. What follows belongs to it, and is
	// used by its goroutine alone.
	transaction bool
	claimed     map[string]bool
	sessions    map[string][]byte // address -> session as it has read or written it, nil for none
	guess       *guess
}

// batch is what one statement stores.
type batch struct {
	sessions    map[string][]byte
	identities  map[string][32]byte
	senderKeys  map[senderKeyName][]byte
	secrets     []store.MessageSecretInsert
	event       *event
	usedPreKeys []int

	goneSessions   map[string]bool
	goneIdentities map[string]bool
	goneSenders    []string
}

type senderKeyName struct{ chat, sender string }

// event is a decrypted message on its way into the buffer.
type event struct {
	hash      [32]byte
	plaintext []byte
	serverAt  time.Time
}

// guess is a session that was read before anybody asked for it.
type guess struct {
	address  string
	readAt   uint64
	session  []byte
	identity *[32]byte
}

func newWork() *work {
	return &work{readAt: map[string]uint64{}, known: map[string]*[32]byte{}}
}

func newTransaction() *work {
	w := newWork()
	w.transaction, w.claimed, w.sessions = true, map[string]bool{}, map[string][]byte{}
	return w
}

type transactionKey struct{}

// transactionOf returns the decryption that a context belongs to, nil if none.
func transactionOf(ctx context.Context) *work {
	w, _ := ctx.Value(transactionKey{}).(*work)
	return w
}

// collectorOf returns the decryption or the send that a context belongs to, nil if none.
func collectorOf(ctx context.Context) *work {
	if w := transactionOf(ctx); w != nil {
		return w
	}
	if s, ok := ctx.Value(sendKey{}).(*send); ok {
		return s.work
	}
	return nil
}

// workOf returns the work that a context belongs to, loose if none.
func workOf(ctx context.Context, loose *work) *work {
	if w := collectorOf(ctx); w != nil {
		return w
	}
	return loose
}

// note notes the time at which sessions are about to be read.
func (w *work) note(now uint64, addresses ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.readAt) >= maxSteps && !w.transaction { // only loose work gets that old; what is forgotten counts as read long ago
		clear(w.readAt)
	}
	for _, address := range addresses {
		w.readAt[address] = now
	}
}

// learn notes the identity that belongs to a session; nil for none.
func (w *work) learn(address string, identity *[32]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[address] = identity
}

// identity returns what is known of an address.
func (w *work) identity(address string) (identity *[32]byte, known bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	identity, known = w.known[address]
	return identity, known
}

// setIdentity has an identity stored with the rest, or deleted for nil.
func (w *work) setIdentity(address string, identity *[32]byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known[address] = identity
	if identity == nil {
		delete(w.batch.identities, address)
		set(&w.batch.goneIdentities, address, true)
		return
	}
	delete(w.batch.goneIdentities, address)
	set(&w.batch.identities, address, *identity)
}

// putSession has a session stored with the rest.
func (w *work) putSession(address string, session []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if session == nil {
		session = []byte{} // nil is for none
	}
	delete(w.batch.goneSessions, address)
	set(&w.batch.sessions, address, session)
	set(&w.sessions, address, session)
}

// deleteSession has a session deleted with the rest.
func (w *work) deleteSession(address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.batch.sessions, address)
	set(&w.batch.goneSessions, address, true)
	set(&w.sessions, address, nil)
}

// takeBatch returns what is to be stored, once.
func (w *work) takeBatch() batch {
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.batch
	w.batch = batch{}
	return b
}

// set makes the map on its first use.
func set[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[key] = value
}
