package devicestore

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/shared/store/pgtest"
)

// openStore opens a store on a database of its own.
func openStore(t *testing.T) (*Store, *statements) {
	t.Helper()
	return reopen(t, pgtest.URL(t))
}

// reopen opens a store as a process does that has just started.
func reopen(t *testing.T, url string) (*Store, *statements) {
	t.Helper()
	traced := &statements{}
	s, err := Open(t.Context(), url, Config{MaxConns: 3, tracer: traced}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s, traced
}

// statements records what a store says to Postgres.
type statements struct {
	mu   sync.Mutex
	said []string
	then func() // called once, when the next one has been answered
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, strings.Join(strings.Fields(data.SQL), " "))
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {
	s.mu.Lock()
	then := s.then
	s.then = nil
	s.mu.Unlock()
	if then != nil {
		then()
	}
}

// next has something done between the answer to the next statement and its use.
func (s *statements) next(then func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.then = then
}

// take returns what was said since it was called last.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	said := s.said
	s.said = nil
	return said
}

func bindNothing(context.Context, string, string) error { return nil }

// unpairedDevice is a device in the state in which whatsmeow saves it for the first time.
func unpairedDevice(s *Store, jid, lid string, bind func(ctx context.Context, jid, lid string) error) *store.Device {
	device := s.New(bind)
	id := mustJID(jid)
	device.ID, device.LID = &id, mustJID(lid)
	device.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{1}, AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64),
	}
	return device
}

// pair returns a paired device.
func pair(t *testing.T, s *Store, jid, lid string) *store.Device {
	t.Helper()
	device := unpairedDevice(s, jid, lid, bindNothing)
	require.NoError(t, device.Save(t.Context()))
	return device
}

// stockDevice is the same device as whatsmeow would have it, for comparison.
func stockDevice(t *testing.T, s *Store, jid string) *store.Device {
	t.Helper()
	device, err := s.stock.GetDevice(t.Context(), mustJID(jid))
	require.NoError(t, err)
	require.NotNil(t, device)
	return device
}

func mustJID(s string) types.JID {
	jid, err := types.ParseJID(s)
	if err != nil {
		panic(err)
	}
	return jid
}

// addressOf is the Signal address of a device, by its LID as whatsmeow has it.
func addressOf(device *store.Device) *protocol.SignalAddress { return device.LID.SignalAddress() }

// introduce gives one device a session with another, as a key bundle does.
func introduce(t *testing.T, from, to *store.Device) {
	t.Helper()
	one, err := to.PreKeys.GenOnePreKey(t.Context())
	require.NoError(t, err)
	bundle := prekey.NewBundle(to.RegistrationID, uint32(to.LID.Device),
		optional.NewOptionalUint32(one.KeyID), to.SignedPreKey.KeyID,
		ecc.NewDjbECPublicKey(*one.Pub), ecc.NewDjbECPublicKey(*to.SignedPreKey.Pub), *to.SignedPreKey.Signature,
		identity.NewKey(ecc.NewDjbECPublicKey(*to.IdentityKey.Pub)))
	builder := session.NewBuilderFromSignal(from, addressOf(to), store.SignalProtobufSerializer)
	require.NoError(t, builder.ProcessBundle(t.Context(), bundle))
}

// encrypt is what whatsmeow does for one device, with the sessions that the context has.
func encrypt(ctx context.Context, from, to *store.Device, text string) (protocol.CiphertextMessage, error) {
	builder := session.NewBuilderFromSignal(from, addressOf(to), store.SignalProtobufSerializer)
	return session.NewCipher(builder, addressOf(to)).Encrypt(ctx, []byte(text))
}

// decrypt is what whatsmeow does with what has arrived, in the transaction around it.
func decrypt(ctx context.Context, to, from *store.Device, message protocol.CiphertextMessage) (text string, err error) {
	builder := session.NewBuilderFromSignal(to, addressOf(from), store.SignalProtobufSerializer)
	cipher := session.NewCipher(builder, addressOf(from))
	err = to.EventBuffer.DoDecryptionTxn(ctx, func(ctx context.Context) error {
		var plaintext []byte
		var err error
		switch m := message.(type) {
		case *protocol.PreKeySignalMessage:
			plaintext, err = cipher.DecryptMessage(ctx, m)
		case *protocol.SignalMessage:
			plaintext, err = cipher.Decrypt(ctx, m)
		}
		text = string(plaintext)
		return err
	})
	return text, err
}

// acquainted returns two paired devices that have exchanged messages in both directions.
func acquainted(t *testing.T) (alice, bob *store.Device, s *Store) {
	t.Helper()
	s, _ = openStore(t)
	alice = pair(t, s, "79001000001:1@s.whatsapp.net", "1001:1@lid")
	bob = pair(t, s, "79001000002:2@s.whatsapp.net", "1002:2@lid")
	introduce(t, alice, bob)
	deliver(t, alice, bob, "hello")
	deliver(t, bob, alice, "hello yourself")
	return alice, bob, s
}

// deliver sends a message from one device to another.
func deliver(t *testing.T, from, to *store.Device, text string) {
	t.Helper()
	message, err := encrypt(t.Context(), from, to, text)
	require.NoError(t, err)
	got, err := decrypt(t.Context(), to, from, message)
	require.NoError(t, err)
	require.Equal(t, text, got)
}

func execute(t *testing.T, s *Store, query string, args ...any) {
	t.Helper()
	_, err := s.db.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func count(t *testing.T, s *Store, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}
