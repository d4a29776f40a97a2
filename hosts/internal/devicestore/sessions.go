package devicestore

import (
	"context"
	"maps"
	"slices"
	"sync"

	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/chain"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/devicestore/db"
)

const sessionsTable = "device_sessions"

var _ store.SessionStore = (*device)(nil)

// GetSession returns nil if there is no session.
func (d *device) GetSession(ctx context.Context, address string) ([]byte, error) {
	if w := transactionOf(ctx); w != nil {
		return d.sessionIn(ctx, w, address)
	}
	if err := d.steps.readOne(ctx, address); err != nil {
		return nil, check(ctx, err)
	}
	found, err := d.readSessions(ctx, []string{address}, collectorOf(ctx))
	return found[address], err
}

// HasSession tells whether there is a session.
func (d *device) HasSession(ctx context.Context, address string) (bool, error) {
	if w := transactionOf(ctx); w != nil {
		session, err := d.sessionIn(ctx, w, address)
		return session != nil, err
	}
	found, err := d.readSessions(ctx, []string{address}, nil)
	return found[address] != nil, err
}

// sessionIn is the session as a decryption sees it: read once, with the identity that belongs to it.
func (d *device) sessionIn(ctx context.Context, w *work, address string) ([]byte, error) {
	if session, ok := w.sessions[address]; ok {
		return session, nil
	}
	if g := w.guess; g != nil && g.address == address {
		w.note(g.readAt, address)
		w.learn(address, g.identity)
		w.sessions[address] = g.session
		return g.session, nil
	}
	if err := d.steps.readOne(ctx, address); err != nil {
		return nil, check(ctx, err)
	}
	found, err := d.readSessions(ctx, []string{address}, w)
	if err != nil {
		return nil, err
	}
	w.sessions[address] = found[address]
	return found[address], nil
}

// GetManySessions returns an entry for each address, nil where there is no session. The device's own address has one,
// without content: whatsmeow looks it up with each send, never uses it, and would fetch a key bundle if there was none.
func (d *device) GetManySessions(ctx context.Context, addresses []string) (map[string][]byte, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	own := d.own.Load()
	wanted := slices.DeleteFunc(slices.Clone(addresses), func(address string) bool { return slices.Contains(own[:], address) })
	found := map[string][]byte{}
	if len(wanted) > 0 {
		if err := d.steps.read(ctx, wanted...); err != nil {
			return nil, check(ctx, err)
		}
		var err error
		if found, err = d.readSessions(ctx, wanted, collectorOf(ctx)); err != nil {
			return nil, err
		}
	}
	for _, address := range addresses {
		if slices.Contains(own[:], address) {
			found[address] = placeholder()
		}
	}
	return found, nil
}

// readSessions reads sessions, and tells the work, which may be nil, the identities that belong to them.
func (d *device) readSessions(ctx context.Context, addresses []string, w *work) (map[string][]byte, error) {
	rows, err := read(ctx, "get sessions", func(ctx context.Context) ([]db.GetSessionsRow, error) {
		return d.store.queries.GetSessions(ctx, d.store.pool, db.GetSessionsParams{CompanyID: d.owner.CompanyID, JID: d.jid, Addresses: addresses})
	})
	if err != nil {
		return nil, err
	}
	found := make(map[string][]byte, len(addresses))
	for _, row := range rows {
		if found[row.Address], err = d.open(ctx, sessionsTable, row.Address, row.SealedSession); err != nil {
			return nil, err
		}
		if w != nil {
			w.learn(row.Address, identityOf(row.Identity))
		}
	}
	return found, nil
}

// PutSession stores a session that was read before, or returns ErrStale.
func (d *device) PutSession(ctx context.Context, address string, session []byte) error {
	return d.PutManySessions(ctx, map[string][]byte{address: session})
}

// PutManySessions stores all of the sessions or none, which it does if one of them is stale. What else the send has to
// store goes with them.
func (d *device) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	return check(ctx, d.steps.write(ctx, slices.Collect(maps.Keys(sessions)), func() error {
		w := collectorOf(ctx)
		if w == nil {
			return d.keep(ctx, "put sessions", batch{sessions: sessions})
		}
		for address, session := range sessions {
			w.putSession(address, session)
		}
		if w.transaction {
			return nil
		}
		return d.keep(ctx, "put sessions", w.takeBatch())
	}))
}

// DeleteAllSessions deletes the sessions with all devices of a user.
func (d *device) DeleteAllSessions(ctx context.Context, user string) error {
	defer d.steps.forgetAll()
	return d.write(ctx, "delete sessions of user", func(ctx context.Context) (bool, error) {
		return d.store.queries.DeleteSessionsOfUser(ctx, d.store.pool, db.DeleteSessionsOfUserParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Prefix: user + ":",
		})
	})
}

// DeleteSession deletes one session.
func (d *device) DeleteSession(ctx context.Context, address string) error {
	defer d.steps.forget(ctx, address)
	if w := transactionOf(ctx); w != nil {
		w.deleteSession(address)
		return nil
	}
	return d.keep(ctx, "delete session", batch{goneSessions: map[string]bool{address: true}})
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
