package devicestore

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/protocol"
	"go.mau.fi/libsignal/session"
	"go.mau.fi/libsignal/util/optional"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waLog "go.mau.fi/whatsmeow/util/log"

	"wafleet/hosts/internal/devicestore/devicestoretest"
	"wafleet/shared/store/pgtest"
)

// process is a store as one process has it, on a database that it may share with others.
type process struct {
	*Store

	database *devicestoretest.Database
	mu       *sync.Mutex
	known    map[string]bool // companies
}

// openStore opens a store on a database of its own.
func openStore(t *testing.T) (*process, *statements) {
	t.Helper()
	d := devicestoretest.New(t, pgtest.MaxConns(2))
	return reopen(t, &process{database: d, mu: &sync.Mutex{}, known: map[string]bool{}})
}

// reopen opens a store as a process does that has just started.
func reopen(t *testing.T, p *process) (*process, *statements) {
	t.Helper()
	traced := &statements{}
	config, err := pgxpool.ParseConfig(p.database.Pool.Config().ConnString())
	require.NoError(t, err)
	config.MaxConns, config.ConnConfig.Tracer = 3, traced
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(t.Context()), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	again := *p
	again.Store = Open(pool, p.database.NewVault(t), slog.New(slog.DiscardHandler))
	return &again, traced
}

// owner is who owns the devices of a phone number: each number is a company's.
func (p *process) owner(t *testing.T, jid string) Owner {
	t.Helper()
	number, _, _ := strings.Cut(jid, "@")
	number, _, _ = strings.Cut(number, ":")
	company := "company-" + number
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known[company] {
		p.database.Company(t, company)
		p.known[company] = true
	}
	return Owner{CompanyID: company, Fence: p.database.Fence}
}

// statements records what a store says to Postgres.
type statements struct {
	mu   sync.Mutex
	said []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.Contains(data.SQL, "company_keys") { // the vault's, once per company and process
		s.said = append(s.said, strings.Join(strings.Fields(data.SQL), " "))
	}
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

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
func unpairedDevice(t *testing.T, p *process, jid, lid string, bind func(ctx context.Context, jid, lid string) error) *store.Device {
	t.Helper()
	return withIdentity(p.New(p.owner(t, jid), bind), jid, lid)
}

// withIdentity fills in what a pairing tells.
func withIdentity(device *store.Device, jid, lid string) *store.Device {
	id := mustJID(jid)
	device.ID, device.LID = &id, mustJID(lid)
	device.Account = &waAdv.ADVSignedDeviceIdentity{
		Details: []byte{1}, AccountSignature: make([]byte, 64), AccountSignatureKey: make([]byte, 32), DeviceSignature: make([]byte, 64),
	}
	return device
}

// pair returns a paired device.
func pair(t *testing.T, p *process, jid, lid string) *store.Device {
	t.Helper()
	device := unpairedDevice(t, p, jid, lid, bindNothing)
	require.NoError(t, device.Save(t.Context()))
	return device
}

func load(t *testing.T, p *process, jid string) *store.Device {
	t.Helper()
	device, err := p.Load(t.Context(), p.owner(t, jid), jid)
	require.NoError(t, err)
	return device
}

// stockSchema is where stock has its tables in the database of a test.
const stockSchema = "stock"

// stock is whatsmeow's own store, the oracle.
func stock(t *testing.T, p *process) (*sqlstore.Container, *statements) {
	t.Helper()
	config, err := pgx.ParseConfig(p.database.Pool.Config().ConnString())
	require.NoError(t, err)
	traced := &statements{}
	config.Tracer = traced
	config.RuntimeParams["search_path"] = stockSchema
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA IF NOT EXISTS "+stockSchema)
	require.NoError(t, err)
	container := sqlstore.NewWithDB(db, "postgres", waLog.Noop)
	require.NoError(t, container.Upgrade(t.Context()))
	traced.take()
	return container, traced
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
func acquainted(t *testing.T) (alice, bob *store.Device, p *process) {
	t.Helper()
	p, _ = openStore(t)
	alice = pair(t, p, "79001000001:1@s.whatsapp.net", "1001:1@lid")
	bob = pair(t, p, "79001000002:2@s.whatsapp.net", "1002:2@lid")
	introduce(t, alice, bob)
	deliver(t, alice, bob, "hello")
	deliver(t, bob, alice, "hello yourself")
	return alice, bob, p
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

func execute(t *testing.T, p *process, query string, args ...any) {
	t.Helper()
	_, err := p.database.Pool.Exec(t.Context(), query, args...)
	require.NoError(t, err)
}

func count(t *testing.T, p *process, query string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, p.database.Pool.QueryRow(t.Context(), query, args...).Scan(&n))
	return n
}
