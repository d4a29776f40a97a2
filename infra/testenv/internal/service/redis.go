package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"

	"wafleet/infra/local/devpg/cachedir"
	"wafleet/infra/local/devpg/debpkg"
)

// startRedis starts a real redis-server that writes nothing to disk.
func startRedis(ctx context.Context) (*Server, error) {
	program, env, err := findRedis(ctx)
	if err != nil {
		return nil, err
	}
	var address string
	server, err := launch(ctx, func(dir string, port int) (*exec.Cmd, func(context.Context) error, error) {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		cmd := exec.CommandContext(context.WithoutCancel(ctx), program,
			"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no")
		cmd.Env = append(cmd.Environ(), env...)
		return cmd, func(ctx context.Context) error { return pingRedis(ctx, address) }, nil
	})
	if err != nil {
		return nil, fmt.Errorf("start redis-server: %w", err)
	}
	server.URL = "redis://" + address + "/0"
	return server, nil
}

// findRedis returns the program and what it needs in its environment: the machine's own, else the one of Debian's
// package, which is unpacked and not installed, because installing it would start a service.
func findRedis(ctx context.Context) (program string, env []string, err error) {
	if program, err := exec.LookPath("redis-server"); err == nil {
		return program, nil, nil
	}
	cache, err := cachedir.Root()
	if err != nil {
		return "", nil, err
	}
	root, err := debpkg.Unpack(ctx, cache, "redis-server")
	if errors.Is(err, debpkg.ErrNoApt) {
		return "", nil, missing("redis-server", "redis-server", "redis")
	}
	if err != nil {
		return "", nil, errors.Join(missing("redis-server", "redis-server", "redis"), err)
	}
	return filepath.Join(root, "usr", "bin", "redis-server"), debpkg.Environment(root), nil
}

func pingRedis(ctx context.Context, address string) (err error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return fmt.Errorf("set deadline: %w", err)
		}
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if answer != "+PONG\r\n" {
		return fmt.Errorf("ping: unexpected answer %.40q", answer)
	}
	return nil
}
