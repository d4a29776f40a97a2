package devicestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/types"
	waLog "go.mau.fi/whatsmeow/util/log"
)

// ErrNoDevice says that there is no device with this JID, or that it is tombstoned: the company has to pair again.
var ErrNoDevice = errors.New("no such device")

// ErrBadDevice says that the row of a device cannot be used. Trying again does not help.
var ErrBadDevice = errors.New("device is unusable")

const (
	defaultMaxConns         = 8
	defaultStatementTimeout = 10 * time.Second
	// connectTimeout bounds a new connection to Postgres; callers inside of whatsmeow bring no deadline of their own.
	connectTimeout = 5 * time.Second
)

// Config sizes a Store. Its zero value is ready for use.
type Config struct {
	// MaxConns is how many connections the store's own pool may open, 8 if zero.
	MaxConns int
	// StatementTimeout is the longest that one statement may take, and the longest that a transaction may wait for its
	// next one, 10 s if zero.
	StatementTimeout time.Duration

	tracer pgx.QueryTracer // tests count statements with it
}

// Store keeps devices in one Postgres database. It is safe for concurrent use.
type Store struct {
	db     *dbutil.Database
	stock  *sqlstore.Container
	lids   store.LIDStore
	logger *slog.Logger
}

// Open opens the store and brings its tables up to date, which several processes may do at the same time. Its pool
// connects on demand; Close closes it.
func Open(ctx context.Context, databaseURL string, cfg Config, logger *slog.Logger) (*Store, error) {
	config, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("parse url of the device store: %w", err)
	}
	config.ConnectTimeout = cmp.Or(config.ConnectTimeout, connectTimeout)
	config.RuntimeParams["search_path"] = schema
	if err := migrate(ctx, config); err != nil {
		return nil, fmt.Errorf("migrate device store: %w", err)
	}
	timeout := strconv.FormatInt(cmp.Or(cfg.StatementTimeout, defaultStatementTimeout).Milliseconds(), 10)
	config.RuntimeParams["statement_timeout"] = timeout
	config.RuntimeParams["idle_in_transaction_session_timeout"] = timeout
	config.Tracer = cfg.tracer

	pool := stdlib.OpenDB(*config)
	conns := cmp.Or(cfg.MaxConns, defaultMaxConns)
	pool.SetMaxOpenConns(conns)
	pool.SetMaxIdleConns(conns)
	db, err := wrap(pool)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	// whatsmeow logs addresses, which are phone numbers: what is worth a line is logged here.
	stock := sqlstore.NewWithWrappedDB(db, waLog.Noop)
	return &Store{db: db, stock: stock, lids: &lids{stock.LIDMap}, logger: logger}, nil
}

// Close closes the store's connections. Devices that were handed out fail from then on.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("close device store: %w", err)
	}
	return nil
}

// New returns an unpaired device for a company; it is stored when it pairs. bind is called inside of that Save, after
// the keys are stored and before the pairing is confirmed to WhatsApp: it binds the JID to the company durably. Its
// error fails the pairing, and the device is not to be used again.
func (s *Store) New(bind func(ctx context.Context, jid, lid string) error) *store.Device {
	device := s.stock.NewDevice()
	device.Container = &unpaired{store: s, bind: bind}
	return device
}

// Load returns the device of a paired session, ErrNoDevice or ErrBadDevice. Only one device per JID may be in use.
func (s *Store) Load(ctx context.Context, jid string) (*store.Device, error) {
	id, err := types.ParseJID(jid)
	if err != nil {
		return nil, fmt.Errorf("load device: %w: %w", ErrNoDevice, err)
	}
	var lid sql.NullString
	err = s.db.QueryRow(ctx, findDeviceQuery, id).Scan(&lid)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("load device: %w", ErrNoDevice)
	}
	if err != nil {
		return nil, fmt.Errorf("find device: %w", err)
	}
	// The one column whose content the schema does not check. Telling here keeps an outage from passing for a bad row.
	if _, err := types.ParseJID(lid.String); err != nil {
		return nil, fmt.Errorf("load device: lid: %w: %w", ErrBadDevice, err)
	}
	device, err := s.stock.GetDevice(ctx, id)
	switch {
	case errors.Is(err, sqlstore.ErrInvalidLength):
		return nil, fmt.Errorf("load device: %w: %w", ErrBadDevice, err)
	case err != nil:
		return nil, fmt.Errorf("load device: %w", err)
	case device == nil:
		return nil, fmt.Errorf("load device: %w", ErrNoDevice)
	}
	s.attach(device)
	return device, nil
}

// Delete destroys a device and all that belongs to it, at once and for good. It is no error if there is none.
func (s *Store) Delete(ctx context.Context, jid string) error {
	id, err := types.ParseJID(jid)
	if err != nil {
		return fmt.Errorf("delete device: %w: %w", ErrNoDevice, err)
	}
	if err := s.db.DoTxn(ctx, nil, func(ctx context.Context) error { return s.destroy(ctx, id) }); err != nil {
		return fmt.Errorf("delete device: %w", err)
	}
	return nil
}

// Restore lifts the tombstone of a device that whatsmeow deleted within the last 30 days, or returns ErrNoDevice.
// Whether WhatsApp still knows the device shows at its next connect.
func (s *Store) Restore(ctx context.Context, jid string) error {
	id, err := types.ParseJID(jid)
	if err != nil {
		return fmt.Errorf("restore device: %w: %w", ErrNoDevice, err)
	}
	return s.lift(ctx, id)
}
