package rig

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/infra/internal/remote"
	"wafleet/infra/local/devpg"
	"wafleet/shared/vault"
)

// Options say where the programs are.
type Options struct {
	// Bin is the folder with connhost and wasim.
	Bin string
	// Self is this program, which is also the API and, if need be, Redis.
	Self string
	// AdminKey is an admin key that the API is to know.
	AdminKey string
	// Log is the level that hosts and API log at; warn if empty.
	Log string
	// Environ is the environment of this process.
	Environ []string
	Logger  *slog.Logger
}

// Rig is the running system. The connection host is not part of Start.
type Rig struct {
	options   Options
	dir       string
	masterKey string
	stops     []func(ctx context.Context) error // what was started, in order
	processes map[string]int                    // process ids by name

	databaseURL string
	redisURL    string
	redisKind   string
	root        remote.Root
	rootCA      string // file
	pool        *pgxpool.Pool
	api         *remote.API
	simulator   *remote.Simulator
	postgres    *devpg.Server
	hosts       []*Host // that run
	host        *Host   // the only one, where one is enough
}

// New returns a rig that is not started yet.
func New(options Options) *Rig {
	key := make([]byte, vault.KeySize)
	_, _ = rand.Read(key) // never fails
	return &Rig{options: options, masterKey: hex.EncodeToString(key), processes: make(map[string]int)}
}

// Start starts everything but the connection host. When a part fails, what was started is stopped again.
func (r *Rig) Start(ctx context.Context) error {
	for _, start := range []func(context.Context) error{
		r.makeFolder, r.startPostgres, r.openDatabase, r.startRedis, r.startSimulator, r.startAPI,
	} {
		if err := start(ctx); err != nil {
			return errors.Join(err, r.Stop(context.WithoutCancel(ctx)))
		}
	}
	return nil
}

// Stop ends everything, last started first, and removes the folder. It may be called again.
func (r *Rig) Stop(ctx context.Context) error {
	errs := []error{r.stopHosts(ctx)}
	r.host = nil
	for _, stop := range slices.Backward(r.stops) {
		errs = append(errs, stop(ctx))
	}
	r.stops = nil
	return errors.Join(errs...)
}

// API is the API, for an admin.
func (r *Rig) API() *remote.API { return r.api }

// Simulator is the simulator.
func (r *Rig) Simulator() *remote.Simulator { return r.simulator }

// Folder is where the database is, for measuring its disk.
func (r *Rig) Folder() string { return r.dir }

// PIDs are the processes by their names.
func (r *Rig) PIDs() map[string]int { return r.processes }

// Processes says what runs where.
func (r *Rig) Processes() []string {
	return []string{
		"bench: load generator, reads phones and the journal of the simulator",
		"api: API and workers (functions/app) behind HTTP on the loopback address, at most 20 database connections",
		"connhost: the connection host, QUEUE=postgres, CONNECT_RATE=0",
		"wasim: the simulator, TLS, everything in memory",
		"postgres: devpg, fsync on, shared_buffers 128 MB, in " + r.dir,
		"redis: " + r.redisKind,
		"all on this machine, none pinned to a core",
	}
}

func (r *Rig) onStop(stop func(ctx context.Context) error) { r.stops = append(r.stops, stop) }

// run starts a process that lives as long as the rig.
func (r *Rig) run(ctx context.Context, name string, environ []string, ready func(ctx context.Context) error, program string, args ...string) error {
	p, err := r.start(name, environ, program, args...)
	if err != nil {
		return err
	}
	r.processes[name] = p.PID()
	r.onStop(p.stop)
	return p.await(ctx, ready)
}

// makeFolder makes a folder on a disk: /tmp may be in memory, where fsync costs nothing.
func (r *Rig) makeFolder(context.Context) (err error) {
	parent := "/var/tmp"
	if info, err := os.Stat(parent); err != nil || !info.IsDir() {
		parent = ""
	}
	if r.dir, err = os.MkdirTemp(parent, "wafleet-bench-"); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	r.onStop(func(context.Context) error {
		if err := os.RemoveAll(r.dir); err != nil {
			return fmt.Errorf("remove folder: %w", err)
		}
		return nil
	})
	// The account that Postgres runs as has to get in; everything in it that is secret has its own mode.
	if err := os.Chmod(r.dir, 0o755); err != nil { //nolint:gosec // see above
		return fmt.Errorf("make folder: %w", err)
	}
	return nil
}
