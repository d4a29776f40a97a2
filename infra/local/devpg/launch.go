package devpg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"wafleet/infra/local/devpg/child"
)

const (
	// launchAttempts allow for a port that is taken between choosing and binding it, and for remains of a killed server.
	launchAttempts = 5
	launchPause    = 200 * time.Millisecond
	readyPoll      = 20 * time.Millisecond
	// stopAfterFailure bounds the wait for a server whose start is given up.
	stopAfterFailure = 10 * time.Second
	// logLimit is the size from which the log is set aside at a start.
	logLimit = 8 << 20
	// duplicateDatabase is Postgres' SQLSTATE for a database that exists.
	duplicateDatabase = "42P04"
)

// earlyEnd says that the server ended before it accepted connections.
type earlyEnd struct{ log string }

func (e *earlyEnd) Error() string { return "postgres did not start: " + lastComplaint(e.log) }

// passes tells whether another attempt may succeed.
func (e *earlyEnd) passes() bool {
	return strings.Contains(e.log, "Address already in use") || strings.Contains(e.log, "shared memory block")
}

// launch starts the server and waits until its database can be used.
func launch(ctx context.Context, h *home, bin binaries, password string) (*child.Process, int, error) {
	for attempt := 1; ; attempt++ {
		port, err := choosePort(ctx, h.portFile())
		if err != nil {
			return nil, 0, err
		}
		process, err := launchOn(ctx, h, bin, password, port)
		if err == nil {
			return process, port, nil
		}
		var early *earlyEnd
		if !errors.As(err, &early) || !early.passes() || attempt == launchAttempts {
			return nil, 0, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, errors.Join(err, context.Cause(ctx))
		case <-time.After(launchPause):
		}
	}
}

func launchOn(ctx context.Context, h *home, bin binaries, password string, port int) (*child.Process, error) {
	log, err := openLog(h.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the server has its own handle
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, fmt.Errorf("open log of postgres: %w", err)
	}
	args := []string{"-D", h.data()}
	for _, setting := range settings(h, port) {
		args = append(args, "-c", setting)
	}
	// The server outlives the context of its start: Stop ends it.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), bin.program("postgres"), args...)
	cmd.SysProcAttr = h.account.attributes()
	cmd.Dir = h.dir
	cmd.Env = bin.environment()
	cmd.Stdout, cmd.Stderr = log, log
	onOrphaned := syscall.SIGINT // a fast shutdown
	if h.ephemeral {
		onOrphaned = syscall.SIGQUIT // nothing to save
	}
	process, err := child.Start(cmd, onOrphaned)
	if err != nil {
		return nil, err
	}
	if err := awaitReady(ctx, process, password, port); err != nil {
		stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopAfterFailure)
		defer cancel()
		err = errors.Join(err, process.Stop(stopCtx, syscall.SIGINT, syscall.SIGQUIT))
		if errors.Is(err, errEnded) {
			return nil, &earlyEnd{log: readFrom(h.logFile(), before)}
		}
		return nil, err
	}
	_ = os.WriteFile(h.portFile(), []byte(strconv.Itoa(port)+"\n"), 0o600) // a convenience for the next start only
	return process, nil
}

var errEnded = errors.New("postgres ended")

// awaitReady connects until that works, which proves the password too, and makes the database where it is missing.
func awaitReady(ctx context.Context, process *child.Process, password string, port int) error {
	var last error
	for {
		if last = createDatabase(ctx, connectionURL(password, port, "postgres")); last == nil {
			return nil
		}
		var refused *pgconn.PgError
		if errors.As(last, &refused) && strings.HasPrefix(refused.Code, "28") { // invalid authorization
			return fmt.Errorf("log in to postgres: %w", last)
		}
		select {
		case <-process.Done():
			return errEnded
		case <-ctx.Done():
			return fmt.Errorf("wait for postgres: %w", errors.Join(context.Cause(ctx), last))
		case <-time.After(readyPoll):
		}
	}
}

func createDatabase(ctx context.Context, adminURL string) error {
	conn, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+superuser)
	var exists *pgconn.PgError
	if errors.As(err, &exists) && exists.Code == duplicateDatabase {
		err = nil
	}
	return errors.Join(err, conn.Close(ctx))
}

// choosePort returns the port of the last run if it is free, so that URLs stay valid across restarts, else a free one.
func choosePort(ctx context.Context, lastFile string) (int, error) {
	var config net.ListenConfig
	last := "0"
	if content, err := os.ReadFile(lastFile); err == nil {
		last = strings.TrimSpace(string(content))
	}
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", last))
	if err != nil {
		listener, err = config.Listen(ctx, "tcp4", "127.0.0.1:0")
	}
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return port, nil
}

// openLog opens the log for appending, and sets a long one aside in place of the one before.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		if err := os.Rename(path, path+".old"); err != nil {
			return nil, fmt.Errorf("set log of postgres aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open log of postgres: %w", err)
	}
	return file, nil
}

// readFrom returns the end of the log, for messages: what cannot be read is left out.
func readFrom(path string, offset int64) string {
	content, err := os.ReadFile(path)
	if err != nil || int64(len(content)) < offset {
		return ""
	}
	return string(bytes.TrimSpace(content[offset:]))
}

var complaint = regexp.MustCompile(`(?m)(FATAL|PANIC|ERROR):.*$`)

// lastComplaint is the line of a log that most likely says why the server ended.
func lastComplaint(log string) string {
	if all := complaint.FindAllString(log, -1); len(all) > 0 {
		return all[len(all)-1]
	}
	lines := strings.Split(log, "\n")
	return lines[len(lines)-1]
}
