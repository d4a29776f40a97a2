package wasim_test

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.mau.fi/libsignal/kdf"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/util/keys"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// memStore is the store of one whatsmeow device, in memory. What messages between two people do not need is left to
// whatsmeow's own empty store.
type memStore struct {
	*store.NoopStore

	mu         sync.Mutex // guards everything below
	identities map[string][32]byte
	sessions   map[string][]byte
	preKeys    map[uint32]*keys.PreKey
	uploaded   uint32
	lastKey    uint32
	buffered   map[[32]byte]*store.BufferedEvent
	lids       map[string]string // number -> hidden id
	deleted    bool
	own        string // address of the device itself; see pretendOwnSession
}

var (
	_ store.AllStores       = (*memStore)(nil)
	_ store.DeviceContainer = (*memStore)(nil)
)

// newDevice makes a device that is not paired.
func newDevice() (*store.Device, *memStore) {
	kept := &memStore{
		NoopStore: &store.NoopStore{}, identities: map[string][32]byte{}, sessions: map[string][]byte{},
		preKeys: map[uint32]*keys.PreKey{}, buffered: map[[32]byte]*store.BufferedEvent{}, lids: map[string]string{},
	}
	identity := keys.NewKeyPair()
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return &store.Device{
		Log: waLog.Noop, NoiseKey: keys.NewKeyPair(), IdentityKey: identity,
		SignedPreKey: identity.CreateSignedPreKey(1), RegistrationID: 4711, AdvSecretKey: secret, Initialized: true,
		Identities: kept, Sessions: kept, PreKeys: kept, SenderKeys: kept, AppStateKeys: kept, AppState: kept,
		Contacts: kept, ChatSettings: kept, MsgSecrets: kept, PrivacyTokens: kept, EventBuffer: kept, LIDs: kept,
		Container: kept,
	}, kept
}

// forgetSessions loses all sessions, as a restored backup does.
func (m *memStore) forgetSessions() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.sessions)
}

// damage changes the sending chains of the sessions with a user, so that it can make nothing of what is encrypted with
// them. Users are named by all their addresses.
func (m *memStore) damage(users ...string) (damaged int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	serializer := store.SignalProtobufSerializer
	for address, raw := range m.sessions {
		if !slices.ContainsFunc(users, func(user string) bool { return strings.HasPrefix(address, user) }) {
			continue
		}
		session, err := record.NewSessionFromBytes(raw, serializer.Session, serializer.State)
		if err != nil {
			return damaged, err
		}
		state := session.SessionState()
		state.SetSenderChainKey(chain.NewKey(kdf.DeriveSecrets, make([]byte, 32), state.SenderChainKey().Index()))
		m.sessions[address] = session.Serialize()
		damaged++
	}
	return damaged, nil
}

func (m *memStore) isDeleted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deleted
}

func (m *memStore) DeleteDevice(context.Context, *store.Device) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.deleted = true
	return nil
}

func (m *memStore) PutIdentity(_ context.Context, address string, key [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.identities[address] = key
	return nil
}

func (m *memStore) DeleteIdentity(_ context.Context, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.identities, address)
	return nil
}

func (m *memStore) IsTrustedIdentity(_ context.Context, address string, key [32]byte) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known, ok := m.identities[address]
	return !ok || known == key, nil
}

func (m *memStore) GetSession(_ context.Context, address string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sessions[address], nil
}

func (m *memStore) HasSession(_ context.Context, address string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, ok := m.sessions[address]
	return ok, nil
}

func (m *memStore) GetManySessions(_ context.Context, addresses []string) (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string][]byte, len(addresses))
	for _, address := range addresses {
		found[address] = m.sessions[address]
		if m.own != "" && strings.HasPrefix(address, m.own) {
			for _, any := range m.sessions {
				found[address] = any
				break
			}
		}
	}
	return found, nil
}

// pretendOwnSession works around whatsmeow asking the server for the device's own prekeys with each message, because it
// has no session with itself. Which session it is told to have does not matter.
func (m *memStore) pretendOwnSession(user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.own = user
}

func (m *memStore) PutSession(_ context.Context, address string, session []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[address] = session
	return nil
}

func (m *memStore) PutManySessions(_ context.Context, sessions map[string][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.Copy(m.sessions, sessions)
	return nil
}

func (m *memStore) DeleteSession(_ context.Context, address string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, address)
	return nil
}

func (m *memStore) MigratePNToLID(_ context.Context, pn, lid types.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to := pn.SignalAddress().String(), lid.SignalAddress().String()
	if session, ok := m.sessions[from]; ok {
		m.sessions[to] = session
		delete(m.sessions, from)
	}
	return nil
}

func (m *memStore) generate() *keys.PreKey {
	m.lastKey++
	key := keys.NewPreKey(m.lastKey)
	m.preKeys[key.KeyID] = key
	return key
}

// GetOrGenPreKeys makes far fewer keys than whatsmeow asks for at first: tests would wait for the 812.
func (m *memStore) GetOrGenPreKeys(_ context.Context, count uint32) ([]*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.lastKey-m.uploaded < min(count, 20) {
		m.generate()
	}
	var fresh []*keys.PreKey
	for _, id := range slices.Sorted(maps.Keys(m.preKeys)) {
		if id > m.uploaded {
			fresh = append(fresh, m.preKeys[id])
		}
	}
	return fresh, nil
}

func (m *memStore) GenOnePreKey(context.Context) (*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploaded++
	return m.generate(), nil
}

func (m *memStore) GetPreKey(_ context.Context, id uint32) (*keys.PreKey, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.preKeys[id], nil
}

func (m *memStore) RemovePreKey(_ context.Context, id uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.preKeys, id)
	return nil
}

func (m *memStore) MarkPreKeysAsUploaded(_ context.Context, upTo uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.uploaded = upTo
	return nil
}

func (m *memStore) UploadedPreKeyCount(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	count := 0
	for id := range m.preKeys {
		if id <= m.uploaded {
			count++
		}
	}
	return count, nil
}

func (m *memStore) GetBufferedEvent(_ context.Context, hash [32]byte) (*store.BufferedEvent, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buffered[hash], nil
}

func (m *memStore) PutBufferedEvent(_ context.Context, hash [32]byte, plaintext []byte, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buffered[hash] = &store.BufferedEvent{Plaintext: plaintext, InsertTime: time.Now(), ServerTime: at}
	return nil
}

func (m *memStore) DoDecryptionTxn(ctx context.Context, fn func(context.Context) error) error {
	return fn(ctx)
}

func (m *memStore) ClearBufferedEventPlaintext(_ context.Context, hash [32]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.buffered[hash] = &store.BufferedEvent{InsertTime: time.Now()}
	return nil
}

func (m *memStore) PutManyLIDMappings(ctx context.Context, mappings []store.LIDMapping) error {
	for _, mapping := range mappings {
		_ = m.PutLIDMapping(ctx, mapping.LID, mapping.PN)
	}
	return nil
}

func (m *memStore) PutLIDMapping(_ context.Context, lid, pn types.JID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lids[pn.User] = lid.User
	return nil
}

func (m *memStore) GetLIDForPN(_ context.Context, pn types.JID) (types.JID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	lid, ok := m.lids[pn.User]
	if !ok {
		return types.EmptyJID, nil
	}
	return types.JID{User: lid, Device: pn.Device, Server: types.HiddenUserServer}, nil
}

func (m *memStore) GetPNForLID(_ context.Context, lid types.JID) (types.JID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for pn, known := range m.lids {
		if known == lid.User {
			return types.JID{User: pn, Device: lid.Device, Server: types.DefaultUserServer}, nil
		}
	}
	return types.EmptyJID, nil
}

func (m *memStore) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	found := make(map[types.JID]types.JID, len(pns))
	for _, pn := range pns {
		if lid, _ := m.GetLIDForPN(ctx, pn); !lid.IsEmpty() {
			found[pn] = lid
		}
	}
	return found, nil
}
