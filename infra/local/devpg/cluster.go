package devpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// superuser is also the name of the database that URL points to.
const superuser = "wafleet"

// prepareCluster returns the superuser's password, after creating the cluster if there is none yet.
func prepareCluster(ctx context.Context, h *home, bin binaries) (password string, err error) {
	major, err := h.major()
	if err != nil {
		return "", err
	}
	if major == 0 {
		return createCluster(ctx, h, bin)
	}
	content, err := os.ReadFile(h.passwordFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%s is gone: restore it, or move %s away to start with an empty database", h.passwordFile(), h.dir)
	}
	if err != nil {
		return "", fmt.Errorf("read password of the database: %w", err)
	}
	return strings.TrimSpace(string(content)), nil
}

// createCluster runs initdb in a folder that becomes the data folder when everything has succeeded, so that an
// interruption leaves nothing that looks like a database.
func createCluster(ctx context.Context, h *home, bin binaries) (password string, err error) {
	password = rand.Text()
	if err := os.WriteFile(h.passwordFile(), []byte(password+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("keep password of the database: %w", err)
	}
	draft := h.data() + ".new"
	if err := errors.Join(os.RemoveAll(draft), os.Mkdir(draft, 0o700)); err != nil {
		return "", fmt.Errorf("make data folder: %w", err)
	}
	if err := errors.Join(h.account.own(h.passwordFile()), h.account.own(draft)); err != nil {
		return "", err
	}
	args := []string{
		"-D", draft, "-U", superuser, "--pwfile", h.passwordFile(), "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C",
	}
	if h.ephemeral {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(ctx, bin.program("initdb"), args...)
	cmd.SysProcAttr = h.account.attributes()
	cmd.Dir = h.dir
	cmd.Env = bin.environment()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	if err := os.Rename(draft, h.data()); err != nil {
		return "", fmt.Errorf("put data folder in place: %w", err)
	}
	return password, nil
}

// settings are what differs from Postgres' defaults, in the form of its -c option.
func settings(h *home, port int) []string {
	set := []string{
		fmt.Sprintf("port=%d", port),
		"listen_addresses=127.0.0.1",
		"unix_socket_directories=", // nothing but the loopback port: a socket's path may be too long, its folder unwritable
		"shared_buffers=128MB",
		"max_connections=200",
		"jit=off",
		// The log must hold nothing of what customers write: no statements, and no row values in details.
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_checkpoints=off",
	}
	if h.ephemeral {
		return append(set, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=2GB")
	}
	return append(set, "fsync=on", "synchronous_commit=on", "full_page_writes=on")
}
