package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"

	"wafleet/infra/local"
	"wafleet/shared/config"
)

const (
	// drainTimeout is how long the first signal leaves to finish what is in hand; with the end of Postgres after it,
	// everything is over within 30 s.
	drainTimeout = 24 * time.Second
	// forceTimeout is how long the parts have to end after the second signal. What is left then dies with the process.
	forceTimeout = 2 * time.Second
)

var (
	errInterrupted = errors.New("interrupted before it was ready")
	errForced      = errors.New("ended by a second signal before everything was finished")
)

func newServe(p Process) *cobra.Command {
	var withParent bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run everything on this machine: API, workers, connection hosts",
		Long: "Runs the API, the workers and the connection hosts, with a Postgres of their own unless DATABASE_URL names\n" +
			"one and a Redis of their own unless REDIS_URL does. Settings come from the environment; the README lists them.\n" +
			"The first SIGTERM or Ctrl-C finishes what is in hand, within 30 s; the second ends everything at once.",
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			settings, err := local.Settings(p.Environ)
			if err != nil {
				return usageError{err}
			}
			executable, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			redis.SetLogger(silent{})
			signals, ignore := listen(withParent)
			defer ignore()
			return serve(cmd.Context(), local.New(local.Options{
				Settings: settings, Environ: p.Environ, Executable: executable, Version: p.Version,
				Out: cmd.OutOrStdout(), Log: p.Stderr, Logger: newLogger(p.Stderr, settings),
			}), signals, cmd.ErrOrStderr())
		},
	}
	cmd.Flags().BoolVar(&withParent, "end-with-parent", false, "take the end of the parent process, such as make, for a signal")
	return cmd
}

// silent keeps go-redis, which logs by itself, from saying again what its errors say.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// system is what serve runs.
type system interface {
	Start(ctx context.Context) error
	Failed() <-chan error
	Stop(ctx context.Context) error
}

// serve runs the system until it fails or a signal comes.
func serve(ctx context.Context, s system, signals <-chan os.Signal, notes io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := start(ctx, cancel, s, signals); err != nil {
		return err
	}
	var failure error
	select {
	case <-signals:
		fmt.Fprintln(notes, "wafleet: finishing what is in hand; a second signal ends it at once")
	case failure = <-s.Failed():
	}
	return errors.Join(failure, stop(ctx, s, signals))
}

// start starts the system unless a signal comes first, which breaks the start off.
func start(ctx context.Context, cancel context.CancelFunc, s system, signals <-chan os.Signal) error {
	started := make(chan error, 1)
	go func() { started <- s.Start(ctx) }()
	select {
	case err := <-started:
		return err
	case <-signals:
		cancel()
	}
	select {
	case err := <-started:
		if err == nil { // it was ready in the same moment
			err = s.Stop(context.WithoutCancel(ctx))
		}
		return errors.Join(errInterrupted, err)
	case <-signals:
		return errForced
	}
}

// stop drains the system. The second signal ends the wait; the children that are left die with this process.
func stop(ctx context.Context, s system, signals <-chan os.Signal) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.Stop(ctx) }()
	select {
	case err := <-stopped:
		return err
	case <-signals:
		cancel()
	}
	select {
	case err := <-stopped:
		return errors.Join(errForced, err)
	case <-time.After(forceTimeout):
		return errForced
	}
}

// newLogger writes lines that people read in dev and machines in production.
func newLogger(to io.Writer, settings config.Serve) *slog.Logger {
	options := &slog.HandlerOptions{Level: settings.LogLevel}
	if settings.Mode.Dev() {
		return slog.New(slog.NewTextHandler(to, options))
	}
	return slog.New(slog.NewJSONHandler(to, options))
}
