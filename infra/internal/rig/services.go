package rig

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"

	"wafleet/infra/internal/remote"
)

func (r *Rig) startRedis(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	password := rand.Text()
	r.redisURL = (&url.URL{Scheme: "redis", User: url.UserPassword("default", password), Host: address}).String()
	ready := func(ctx context.Context) error { return dial(ctx, address) }
	if program, err := exec.LookPath("redis-server"); err == nil {
		r.redisKind = "redis-server, keeping nothing"
		return r.run(ctx, "redis", nil, ready, program, "--bind", "127.0.0.1", "--port", port,
			"--requirepass", password, "--save", "", "--appendonly", "no")
	}
	r.redisKind = "miniredis, a Redis in Go, because this machine has no redis-server"
	return r.run(ctx, "redis", []string{"REDIS_LISTEN=" + address, "REDIS_PASSWORD=" + password}, ready, r.options.Self, "redis")
}

func dial(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return conn.Close() //nolint:wrapcheck // nothing was sent
}

func (r *Rig) startSimulator(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	r.simulator = remote.NewSimulator("http://" + address)
	r.onStop(func(context.Context) error { r.simulator.Close(); return nil })
	ready := func(ctx context.Context) (err error) {
		r.root, err = r.simulator.Root(ctx)
		return err
	}
	err = r.run(ctx, "wasim", nil, ready, filepath.Join(r.options.Bin, "wasim"), "-listen", "127.0.0.1:0", "-control", address)
	if err != nil {
		return err
	}
	r.rootCA = filepath.Join(r.dir, "root-ca.pem")
	if err := os.WriteFile(r.rootCA, []byte(r.root.CAPEM), 0o600); err != nil {
		return fmt.Errorf("keep root certificate: %w", err)
	}
	return nil
}

// shared is the environment of API and host.
func (r *Rig) shared() []string {
	return []string{
		"WAFLEET_ENV=dev", "LOG_LEVEL=" + cmp.Or(r.options.Log, "warn"),
		"DATABASE_URL=" + r.databaseURL, "REDIS_URL=" + r.redisURL, "MASTER_KEY=" + r.masterKey,
	}
}

// startAPI needs no host to be ready: a healthy answer does, but the API's own start does not.
func (r *Rig) startAPI(ctx context.Context) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	r.api = remote.NewAPI("http://"+address, r.options.AdminKey)
	r.onStop(func(context.Context) error { r.api.Close(); return nil })
	environ := append(r.shared(), "API_LISTEN="+address, "API_ADMIN_KEY="+r.options.AdminKey)
	ready := func(ctx context.Context) error { return dial(ctx, address) }
	return r.run(ctx, "api", environ, ready, r.options.Self, "api")
}
