package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"wafleet/migrations"
	"wafleet/shared/store"
)

// templateLock is the advisory lock that a builder of templates holds, an arbitrary number ("pgtest" in ASCII).
const templateLock = 0x706774657374

// templates remembers, for each server, that its template is there, so that a test binary asks only once.
var templates sync.Map // server URL -> func() (string, error)

// clone creates a database from the migrated template and returns its name.
func clone(ctx context.Context, server *url.URL) (string, error) {
	ensure, _ := templates.LoadOrStore(server.String(), sync.OnceValues(func() (string, error) {
		return migratedTemplate(context.WithoutCancel(ctx), server)
	}))
	template, err := ensure.(func() (string, error))()
	if err != nil {
		return "", fmt.Errorf("prepare template: %w", err)
	}
	name := "wafleet_test_" + strings.ToLower(rand.Text())
	err = onServer(ctx, server, func(conn *pgx.Conn) error {
		return exec(ctx, conn, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template))
	})
	return name, err
}

// drop removes a test's database, also under connections that are still open.
func drop(ctx context.Context, server *url.URL, name string) error {
	return onServer(ctx, server, func(conn *pgx.Conn) error {
		return exec(ctx, conn, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	})
}

// migratedTemplate returns the name of the template that has the embedded migrations.
func migratedTemplate(ctx context.Context, server *url.URL) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	hash, err := contentHash(migrations.FS)
	if err != nil {
		return "", err
	}
	name := "wafleet_template_" + hash
	return name, ensureTemplate(ctx, server, name, store.Migrate)
}

// ensureTemplate builds the named template unless it is there already, on a server that others may use for the same
// purpose at the same time. The lock ends with its connection, so a builder that dies frees it.
func ensureTemplate(ctx context.Context, server *url.URL, name string, fill func(ctx context.Context, databaseURL string) error) error {
	return onServer(ctx, server, func(conn *pgx.Conn) error {
		if err := exec(ctx, conn, fmt.Sprintf("SELECT pg_advisory_lock(%d)", templateLock)); err != nil {
			return err
		}
		var exists bool
		if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil {
			return fmt.Errorf("look for %s: %w", name, err)
		}
		if exists {
			return nil
		}
		return buildTemplate(ctx, conn, server, name, fill)
	})
}

// buildTemplate fills a new database and renames it once it is complete. Connections to it are refused from then on:
// a database that somebody is connected to (autovacuum, for one) cannot be copied.
func buildTemplate(ctx context.Context, conn *pgx.Conn, server *url.URL, name string, fill func(context.Context, string) error) error {
	draft := name + "_draft"
	if err := exec(ctx, conn, "DROP DATABASE IF EXISTS "+quote(draft)+" WITH (FORCE)"); err != nil {
		return err
	}
	if err := exec(ctx, conn, "CREATE DATABASE "+quote(draft)+" TEMPLATE template0"); err != nil {
		return err
	}
	if err := fill(ctx, withDatabase(server, draft).String()); err != nil {
		return fmt.Errorf("fill template: %w", err)
	}
	if err := exec(ctx, conn, "ALTER DATABASE "+quote(draft)+" ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return exec(ctx, conn, "ALTER DATABASE "+quote(draft)+" RENAME TO "+quote(name))
}

// contentHash identifies a set of migrations by names and contents.
func contentHash(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.sql")
	if err != nil {
		return "", fmt.Errorf("list migrations: %w", err)
	}
	h := sha256.New()
	for _, name := range names {
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return "", fmt.Errorf("read migration: %w", err)
		}
		// Lengths keep the end of one part from passing for the start of the next.
		_, _ = fmt.Fprintf(h, "%d %s %d ", len(name), name, len(content)) // a hash takes everything
		_, _ = h.Write(content)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// onServer runs one piece of administration on a connection of its own, to the database named in TEST_DATABASE_URL:
// advisory locks and CREATE DATABASE need one session and no transaction.
func onServer(ctx context.Context, server *url.URL, work func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		return fmt.Errorf("connect to the test server: %w", err)
	}
	return errors.Join(work(conn), conn.Close(context.WithoutCancel(ctx)))
}

func exec(ctx context.Context, conn *pgx.Conn, statement string) error {
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

func quote(identifier string) string { return pgx.Identifier{identifier}.Sanitize() }
