package devicestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"go.mau.fi/util/dbutil"
	"go.mau.fi/whatsmeow/store/sqlstore"
	"go.mau.fi/whatsmeow/store/sqlstore/upgrades"
	waLog "go.mau.fi/whatsmeow/util/log"
)

const (
	schema       = "whatsmeow"
	versionTable = "whatsmeow_version"
	// migrateLock is the advisory lock of migrate, an arbitrary number ("wa-dev" in ASCII).
	migrateLock = 0x77612d646576
	closeGrace  = 5 * time.Second
)

const (
	// The version table is made here, because whatsmeow asks whether one exists in any schema.
	beforeUpgradeSQL = `
		CREATE SCHEMA IF NOT EXISTS whatsmeow;
		CREATE TABLE IF NOT EXISTS whatsmeow.whatsmeow_version (version INTEGER, compat INTEGER)`
	afterUpgradeSQL = `
		CREATE TABLE IF NOT EXISTS whatsmeow.wafleet_tombstones (
			jid        text PRIMARY KEY REFERENCES whatsmeow.whatsmeow_device (jid) ON DELETE CASCADE,
			deleted_at timestamptz NOT NULL DEFAULT now()
		)`
)

// migrate brings the tables up to date. The advisory lock, held by a connection of its own, lets one process do it while
// the others wait.
func migrate(ctx context.Context, config *pgx.ConnConfig) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer cancel()
		err = errors.Join(err, conn.Close(ctx)) // and with it goes the lock
	}()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := conn.Exec(ctx, beforeUpgradeSQL); err != nil {
		return fmt.Errorf("create schema: %w", err)
	}
	if err := upgrade(ctx, config); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, afterUpgradeSQL); err != nil {
		return fmt.Errorf("create tombstones: %w", err)
	}
	return nil
}

// upgrade runs whatsmeow's own migrations.
func upgrade(ctx context.Context, config *pgx.ConnConfig) error {
	pool := stdlib.OpenDB(*config)
	db, err := wrap(pool)
	if err == nil {
		err = sqlstore.NewWithWrappedDB(db, waLog.Noop).Upgrade(ctx)
	}
	if err = errors.Join(err, pool.Close()); err != nil {
		return fmt.Errorf("upgrade tables: %w", err)
	}
	return nil
}

// wrap gives a pool the form that whatsmeow wants: transactions that travel in the context.
func wrap(pool *sql.DB) (*dbutil.Database, error) {
	db, err := dbutil.NewWithDB(pool, dbutil.Postgres.String())
	if err != nil {
		return nil, fmt.Errorf("wrap database: %w", err)
	}
	db.UpgradeTable = upgrades.Table
	db.VersionTable = versionTable
	return db, nil
}
