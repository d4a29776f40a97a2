package local

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	hosts "wafleet/hosts/app"
	"wafleet/infra/local/hostpool"
	"wafleet/shared/config"
	"wafleet/shared/store/db"
)

// startHosts runs the one host in this process, or several as processes of their own.
func (s *System) startHosts(ctx context.Context) error {
	if s.settings.Hosts == 1 {
		return s.startHost(ctx)
	}
	return s.startPool(ctx)
}

func (s *System) startHost(ctx context.Context) error {
	host := hosts.Config{
		HostID: hostpool.NewID(), Version: s.options.Version, Sessions: s.settings.Sessions,
		Live: s.settings.Peer == config.Live, ShowQR: s.showQR(), //nolint:contextcheck // draws, and waits for nothing
	}
	root, err := s.peer.Root()
	if err != nil {
		return err
	}
	host.WhatsApp.Endpoint, host.WhatsApp.RootCA, host.WhatsApp.NoiseRoot = s.peer.Endpoint, s.peer.rootCA, root
	boards, err := hosts.Boards(ctx, s.settings.HealthTable)
	if err != nil {
		return fmt.Errorf("HEALTH_TABLE: %w", err)
	}
	app, err := hosts.New(ctx, hosts.Deps{
		Pool: s.pool, Redis: s.redis, Queue: s.queue, Media: s.media, Vault: s.vault,
		Registry: s.metrics, Logger: s.log.With("part", "host", "host_id", host.HostID), Boards: boards,
	}, host)
	if err != nil {
		return fmt.Errorf("start host: %w", err)
	}
	if err := app.Start(ctx); err != nil {
		return fmt.Errorf("start host: %w", err)
	}
	s.stack.push("host", app.Stop)
	return nil
}

func (s *System) startPool(ctx context.Context) error {
	program := filepath.Join(filepath.Dir(s.options.Executable), "connhost")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("HOSTS=%d needs the program connhost beside this one (make build): %w", s.settings.Hosts, err)
	}
	pool := hostpool.New(hostpool.Config{
		Size: s.settings.Hosts,
		Dir:  s.dir.Path("hosts"),
		Command: func(hostID string) *exec.Cmd {
			cmd := exec.Command(program) //nolint:noctx // our own program, which the pool ends
			cmd.Env = slices.Concat(s.options.Environ, s.hostEnviron(hostID))
			cmd.Stdout, cmd.Stderr = s.options.Log, s.options.Log
			return cmd
		},
		Gone: func(ctx context.Context, hostID string) error {
			return s.releaseHost(ctx, hostID)
		},
		Logger: s.log,
	})
	if err := pool.Start(ctx); err != nil {
		return err
	}
	s.stack.push("hosts", pool.Stop)
	return nil
}

// releaseHost gives the shards of a host free whose process is gone, so that nobody waits until its leases expire.
func (s *System) releaseHost(ctx context.Context, hostID string) error {
	if err := db.New().ReleaseLeasesOfHost(ctx, s.pool, hostID); err != nil {
		return fmt.Errorf("release leases of %s: %w", hostID, err)
	}
	return nil
}

// hostEnviron is what a host is told that is a process of its own. Later variables win over those of this process.
func (s *System) hostEnviron(hostID string) []string {
	return []string{
		"HOST_ID=" + hostID,
		"HOST_LISTEN=" + loopback(0),
		"HOST_PEER_LISTEN=" + loopback(0),
		"WAFLEET_ENV=" + string(s.settings.Mode),
		"DATABASE_URL=" + s.databaseURL,
		"REDIS_URL=" + s.redisURL,
		"QUEUE=postgres",
		"MEDIA_BUCKET=" + s.settings.Bucket,
		"MEDIA_FOLDER=" + s.mediaFolder(),
		"S3_ENDPOINT=" + s.settings.S3Endpoint,
		"HEALTH_TABLE=" + s.settings.HealthTable,
		"MASTER_KEY=" + hex.EncodeToString(s.masterKey),
		"WHATSAPP_ENDPOINT=" + s.peer.Endpoint,
		"WHATSAPP_ROOT_CA=" + s.peer.RootCA,
		"WHATSAPP_NOISE_ROOT=" + s.peer.NoiseRoot,
	}
}
