package devicestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore/db"
	fleet "wafleet/shared/store"
	"wafleet/shared/vault"
)

// ErrNoDevice says that there is no device with this JID, or that it is tombstoned: the company has to pair again.
var ErrNoDevice = errors.New("no such device")

// ErrUnreadableDevice says that the row of a device cannot be used: it is damaged, or was sealed with another key.
// Trying again does not help; other companies are not concerned.
var ErrUnreadableDevice = errors.New("device cannot be read")

// statementTimeout bounds each statement, the wait for a connection included: callers inside of whatsmeow bring no
// deadline of their own.
const statementTimeout = 10 * time.Second

// Sealer seals what is stored about a company; *vault.Vault is one.
type Sealer interface {
	Seal(ctx context.Context, companyID, place string, text []byte) ([]byte, error)
	Open(ctx context.Context, companyID, place string, sealed []byte) ([]byte, error)
}

var _ Sealer = (*vault.Vault)(nil)

// Owner is for whom a device is opened, and by which right: its writes succeed only while the fence holds.
type Owner struct {
	CompanyID string
	Fence     fleet.Fence
}

// Store keeps devices in Postgres. It is safe for concurrent use.
type Store struct {
	pool    *pgxpool.Pool
	queries *db.Queries
	sealer  Sealer
	logger  *slog.Logger

	preloading sync.Mutex // guards preloaded
	preloaded  map[int]*preload
}

// Open returns a store on a migrated database. The pool stays the caller's.
func Open(pool *pgxpool.Pool, sealer Sealer, logger *slog.Logger) *Store {
	return &Store{pool: pool, queries: db.New(), sealer: sealer, logger: logger, preloaded: map[int]*preload{}}
}

// New returns an unpaired device for a company; it is stored when it pairs. bind is called inside of that Save, after
// the keys are stored and before the pairing is confirmed to WhatsApp: it binds the JID to the company durably. Its
// error fails the pairing, and the device is not to be used again.
func (s *Store) New(owner Owner, bind func(ctx context.Context, jid, lid string) error) *store.Device {
	device := newKeys()
	device.Container = &unpaired{store: s, owner: owner, bind: bind}
	return device
}

// Load returns the device of a paired session, ErrNoDevice or ErrUnreadableDevice. Only one device per JID may be in use.
func (s *Store) Load(ctx context.Context, owner Owner, jid string) (*store.Device, error) {
	id, err := types.ParseJID(jid)
	if err != nil {
		return nil, fmt.Errorf("load device: %w: %w", ErrNoDevice, err)
	}
	row, ok := s.takePreloaded(owner, jid)
	if !ok {
		ctx, done := bounded(ctx)
		defer done()
		row, err = s.queries.GetDevice(ctx, s.pool, db.GetDeviceParams{CompanyID: owner.CompanyID, JID: id.String(), PrekeyLimit: prekeysCounted})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, fmt.Errorf("load device: %w", ErrNoDevice)
		}
		if err != nil {
			return nil, fmt.Errorf("load device: %w", err)
		}
	}
	loaded, err := s.restoreKeys(ctx, row.Device)
	if err != nil {
		return nil, fmt.Errorf("load device: %w", err)
	}
	d := s.attach(owner, loaded)
	d.prekeys.Store(&row.Prekeys)
	if row.Mapped {
		d.lids.remember(loaded.LID.User, loaded.ID.User)
	}
	return loaded, nil
}

// Delete destroys a device and all that belongs to it, at once and for good. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, owner Owner, jid string) error {
	id, err := types.ParseJID(jid)
	if err != nil {
		return fmt.Errorf("delete device: %w: %w", ErrNoDevice, err)
	}
	return s.change(ctx, owner, id, "delete device", s.queries.DeleteDevice)
}

// Restore lifts the tombstone of a device that whatsmeow deleted within the last 30 days, or returns ErrNoDevice.
// Whether WhatsApp still knows the device shows at its next connect.
func (s *Store) Restore(ctx context.Context, owner Owner, jid string) error {
	id, err := types.ParseJID(jid)
	if err != nil {
		return fmt.Errorf("restore device: %w: %w", ErrNoDevice, err)
	}
	return s.lift(ctx, owner, id)
}

// change runs a statement on the row of a device.
func (s *Store) change(ctx context.Context, owner Owner, jid types.JID, doing string, statement func(context.Context, db.DBTX, db.DeleteDeviceParams) (bool, error)) error {
	ctx, done := bounded(ctx)
	defer done()
	s.forgetPreloaded(owner, jid.String())
	held, err := statement(ctx, s.pool, db.DeleteDeviceParams{
		CompanyID: owner.CompanyID, JID: jid.String(), Shard: owner.Fence.Shard, Term: owner.Fence.Term,
	})
	return fenced(doing, held, err)
}

func (s *Store) bury(ctx context.Context, owner Owner, jid types.JID) error {
	return s.change(ctx, owner, jid, "set tombstone", func(ctx context.Context, tx db.DBTX, arg db.DeleteDeviceParams) (bool, error) {
		return s.queries.BuryDevice(ctx, tx, db.BuryDeviceParams(arg))
	})
}

func (s *Store) lift(ctx context.Context, owner Owner, jid types.JID) error {
	found := false
	err := s.change(ctx, owner, jid, "lift tombstone", func(ctx context.Context, tx db.DBTX, arg db.DeleteDeviceParams) (bool, error) {
		row, err := s.queries.LiftTombstone(ctx, tx, db.LiftTombstoneParams(arg))
		found = row.Found
		return row.Held, err
	})
	if err == nil && !found {
		return fmt.Errorf("lift tombstone: %w", ErrNoDevice)
	}
	return err
}

// bounded is a context for one statement.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, statementTimeout)
}

// fenced reads the answer of a statement that writes.
func fenced(doing string, held bool, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if !held {
		return fmt.Errorf("%s: %w", doing, fleet.ErrFenced)
	}
	return nil
}
