package phone

import (
	"context"
	"errors"
	"fmt"

	"go.mau.fi/libsignal/ecc"
	grouprecord "go.mau.fi/libsignal/groups/state/record"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/serialize"
	"go.mau.fi/libsignal/state/record"
	"go.mau.fi/libsignal/state/store"

	"wafleet/infra/wasim/internal/ledger"
	_ "wafleet/infra/wasim/internal/quiet" // The library is used from many goroutines.
)

var serializer = serialize.NewProtoBufSerializer()

// errUnused is returned by the parts of the library's store interface which its session code never calls.
var errUnused = errors.New("not part of the session protocol")

var _ store.SignalProtocol = (*signalStore)(nil)

// signalStore shows a phone to the Signal library for the time of one call, and notes changes in its batch. The phone's
// lock is held.
type signalStore struct {
	phone *Phone
	batch *ledger.Batch
}

func (s *signalStore) GetIdentityKeyPair() *identity.KeyPair {
	pair := s.phone.identity
	return identity.NewKeyPair(
		identity.NewKey(ecc.NewDjbECPublicKey(*pair.Pub)), ecc.NewDjbECPrivateKey(*pair.Priv))
}

func (s *signalStore) GetLocalRegistrationID() uint32 { return s.phone.registration }

// SaveIdentity does nothing: the simulator's directory of keys is the truth, a phone need not remember it.
func (s *signalStore) SaveIdentity(context.Context, *protocol.SignalAddress, *identity.Key) error {
	return nil
}

func (s *signalStore) IsTrustedIdentity(context.Context, *protocol.SignalAddress, *identity.Key) (bool, error) {
	return true, nil
}

func (s *signalStore) LoadPreKey(_ context.Context, id uint32) (*record.PreKey, error) {
	pair := s.phone.oneTimeKey(id)
	if pair == nil {
		return nil, nil //nolint:nilnil // The interface wants it so.
	}
	return record.NewPreKey(id, ecc.NewECKeyPair(
		ecc.NewDjbECPublicKey(*pair.Pub), ecc.NewDjbECPrivateKey(*pair.Priv)), nil), nil
}

func (s *signalStore) RemovePreKey(_ context.Context, id uint32) error {
	s.phone.removeOneTimeKey(s.batch, id)
	return nil
}

func (s *signalStore) LoadSignedPreKey(_ context.Context, id uint32) (*record.SignedPreKey, error) {
	signed := s.phone.signed
	if id != signed.KeyID {
		return nil, nil //nolint:nilnil // The interface wants it so.
	}
	return record.NewSignedPreKey(id, 0, ecc.NewECKeyPair(
		ecc.NewDjbECPublicKey(*signed.Pub), ecc.NewDjbECPrivateKey(*signed.Priv)), *signed.Signature, nil), nil
}

func (s *signalStore) ContainsSession(_ context.Context, peer *protocol.SignalAddress) (bool, error) {
	_, known := s.phone.sessions[peer.Name()]
	return known, nil
}

func (s *signalStore) LoadSession(_ context.Context, peer *protocol.SignalAddress) (*record.Session, error) {
	raw, known := s.phone.sessions[peer.Name()]
	if !known {
		return record.NewSession(serializer.Session, serializer.State), nil
	}
	loaded, err := record.NewSessionFromBytes(raw, serializer.Session, serializer.State)
	if err != nil {
		return nil, fmt.Errorf("read session: %w", err)
	}
	return loaded, nil
}

func (s *signalStore) StoreSession(_ context.Context, peer *protocol.SignalAddress, session *record.Session) error {
	s.phone.keepSession(s.batch, peer.Name(), session.Serialize())
	return nil
}

// keepSession replaces the session with a peer; the lock is held.
func (p *Phone) keepSession(batch *ledger.Batch, peer string, raw []byte) {
	p.sessions[peer] = raw
	batch.Put(BucketSessions, p.number+"/"+peer, raw)
}

func (s *signalStore) StorePreKey(context.Context, uint32, *record.PreKey) error { return errUnused }

func (s *signalStore) ContainsPreKey(context.Context, uint32) (bool, error) { return false, errUnused }

func (s *signalStore) GetSubDeviceSessions(context.Context, string) ([]uint32, error) {
	return nil, errUnused
}

func (s *signalStore) DeleteSession(context.Context, *protocol.SignalAddress) error { return errUnused }

func (s *signalStore) DeleteAllSessions(context.Context) error { return errUnused }

func (s *signalStore) LoadSignedPreKeys(context.Context) ([]*record.SignedPreKey, error) {
	return nil, errUnused
}

func (s *signalStore) StoreSignedPreKey(context.Context, uint32, *record.SignedPreKey) error {
	return errUnused
}

func (s *signalStore) ContainsSignedPreKey(context.Context, uint32) (bool, error) {
	return false, errUnused
}

func (s *signalStore) RemoveSignedPreKey(context.Context, uint32) error { return errUnused }

func (s *signalStore) StoreSenderKey(context.Context, *protocol.SenderKeyName, *grouprecord.SenderKey) error {
	return errUnused
}

func (s *signalStore) LoadSenderKey(context.Context, *protocol.SenderKeyName) (*grouprecord.SenderKey, error) {
	return nil, errUnused
}
