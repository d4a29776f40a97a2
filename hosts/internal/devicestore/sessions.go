package devicestore

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
)

const (
	getSessionsQuery = `SELECT their_id, session FROM whatsmeow_sessions WHERE our_jid = $1 AND their_id = ANY ($2::text[])`
	putSessionsQuery = `
		INSERT INTO whatsmeow_sessions (our_jid, their_id, session)
		SELECT $1, their_id, session FROM unnest($2::text[], $3::bytea[]) AS new (their_id, session)
		ON CONFLICT (our_jid, their_id) DO UPDATE SET session = excluded.session`
	isStoredByNumberQuery = `
		SELECT EXISTS (SELECT FROM whatsmeow_sessions WHERE our_jid = $1 AND their_id LIKE $2)
			OR EXISTS (SELECT FROM whatsmeow_identity_keys WHERE our_jid = $1 AND their_id LIKE $2)
			OR EXISTS (SELECT FROM whatsmeow_sender_keys WHERE our_jid = $1 AND sender_id LIKE $2)`
)

var _ store.SessionStore = (*sessions)(nil)

// sessions are the Signal sessions of a device, in the order of ratchets and with one statement where stock needs many.
type sessions struct {
	stock      store.SessionStore
	store      *Store
	device     types.JID
	steps      *ratchets
	identities *identities

	own atomic.Pointer[[2]string] // addresses of the device itself, by phone number and by LID

	migrating sync.Mutex // guards migrated
	migrated  map[string]bool
}

// setOwn notes the addresses of the device itself, which WhatsApp may tell as late as at the first connect.
func (s *sessions) setOwn(device *store.Device) {
	own := [2]string{device.ID.SignalAddress().String()}
	if !device.LID.IsEmpty() {
		own[1] = device.LID.SignalAddress().String()
	}
	s.own.Store(&own)
}

// GetSession returns nil if there is no session.
func (s *sessions) GetSession(ctx context.Context, address string) ([]byte, error) {
	if err := s.steps.readOne(ctx, address); err != nil {
		return nil, check(ctx, "get session", err)
	}
	session, err := s.stock.GetSession(ctx, address)
	return session, check(ctx, "get session", err)
}

// HasSession tells whether there is a session.
func (s *sessions) HasSession(ctx context.Context, address string) (bool, error) {
	has, err := s.stock.HasSession(ctx, address)
	return has, check(ctx, "look for session", err)
}

// GetManySessions returns an entry for each address, nil where there is no session. The device's own address has one,
// without content: whatsmeow looks it up with each send, never uses it, and would fetch a key bundle if there was none.
func (s *sessions) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(addresses))
	wanted := make([]string, 0, len(addresses))
	own := s.own.Load()
	for _, address := range addresses {
		if slices.Contains(own[:], address) {
			found[address] = placeholder()
			continue
		}
		found[address] = nil
		wanted = append(wanted, address)
	}
	if len(wanted) == 0 {
		return found, nil
	}
	if err := s.steps.read(ctx, wanted...); err != nil {
		return nil, check(ctx, "get sessions", err)
	}
	if err := s.collect(ctx, wanted, found); err != nil {
		return nil, check(ctx, "get sessions", err)
	}
	return found, nil
}

func (s *sessions) collect(ctx context.Context, addresses []string, found map[string][]byte) error {
	rows, err := s.store.db.Query(ctx, getSessionsQuery, s.device, addresses)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer rows.Close() //nolint:errcheck // the error that counts is Err's
	for rows.Next() {
		var address string
		var session []byte
		if err := rows.Scan(&address, &session); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		found[address] = session
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// PutSession stores a session that was read before, or returns ErrStale.
func (s *sessions) PutSession(ctx context.Context, address string, session []byte) error {
	return check(ctx, "put session", s.steps.write(ctx, []string{address}, func() error {
		return s.stock.PutSession(ctx, address, session)
	}))
}

// PutManySessions stores all of the sessions or none, which it does if one of them is stale.
func (s *sessions) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	// Sorted, so that two writers lock the rows in the same order.
	addresses := slices.Sorted(maps.Keys(sessions))
	contents := make([][]byte, len(addresses))
	for i, address := range addresses {
		contents[i] = sessions[address]
	}
	return check(ctx, "put sessions", s.steps.write(ctx, addresses, func() error {
		_, err := s.store.db.Exec(ctx, putSessionsQuery, s.device, addresses, contents)
		return err //nolint:wrapcheck // check does
	}))
}

// DeleteAllSessions deletes the sessions with all devices of a user.
func (s *sessions) DeleteAllSessions(ctx context.Context, user string) error {
	defer s.steps.forgetAll()
	return check(ctx, "delete sessions of user", s.stock.DeleteAllSessions(ctx, user))
}

// DeleteSession deletes one session.
func (s *sessions) DeleteSession(ctx context.Context, address string) error {
	defer s.steps.forget(ctx, address)
	return check(ctx, "delete session", s.stock.DeleteSession(ctx, address))
}

// MigratePNToLID moves what is stored under a phone number to the LID, once per number and process. Stock counts a
// migration that failed, or is still on its way, as done; here one that failed is tried again, and others wait.
func (s *sessions) MigratePNToLID(ctx context.Context, pn, lid types.JID) error {
	user := pn.SignalAddressUser()
	s.migrating.Lock()
	defer s.migrating.Unlock()
	if s.migrated[user] {
		return nil
	}
	if err := s.migrate(ctx, pn, lid); err != nil {
		return check(ctx, "migrate sessions to lid", err)
	}
	if s.migrated == nil || len(s.migrated) >= maxSteps {
		s.migrated = map[string]bool{} // costs another look at users that were seen already
	}
	s.migrated[user] = true
	return nil
}

// migrate asks whether there is something to do before it does what takes eight statements and empties the caches.
func (s *sessions) migrate(ctx context.Context, pn, lid types.JID) error {
	var stored bool
	err := s.store.db.QueryRow(ctx, isStoredByNumberQuery, s.device, pn.SignalAddressUser()+":%").Scan(&stored)
	if err != nil {
		return fmt.Errorf("look for phone number: %w", err)
	}
	if !stored {
		return nil
	}
	defer s.steps.forgetAll()
	defer s.identities.forgetAll()
	fresh := sqlstore.NewSQLStore(s.store.stock, s.device) // has not counted anything yet
	return fresh.MigratePNToLID(ctx, pn, lid)              //nolint:wrapcheck // the caller says what it was doing
}

// placeholder is a session that can be read and that nobody has: its keys are zero.
var placeholder = sync.OnceValue(func() []byte {
	point := ecc.NewDjbECPublicKey([32]byte{}).Serialize()
	return store.SignalProtobufSerializer.Session.Serialize(&record.SessionStructure{SessionState: &record.StateStructure{
		LocalIdentityPublic:  point,
		RemoteIdentityPublic: point,
		SenderBaseKey:        point,
		SenderChain:          &record.ChainStructure{SenderRatchetKeyPublic: point, ChainKey: &chain.KeyStructure{}},
	}})
})
