package local

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"

	functions "wafleet/functions/app"
	"wafleet/infra/local/datadir"
	"wafleet/infra/local/devenv"
	"wafleet/shared/media"
	"wafleet/shared/vault"
)

// openFolder takes the data folder and reads what an earlier start left in it.
func (s *System) openFolder(context.Context) error {
	dir, err := datadir.Open(s.settings.Data)
	if err != nil {
		return err
	}
	s.dir = dir
	s.stack.push("data folder", func(context.Context) error { return dir.Close() })
	if s.previous, err = devenv.Read(dir.Path(devEnvName)); err != nil {
		return err
	}
	return nil
}

// readKeys reads the installation's keys, or makes them at the first start.
func (s *System) readKeys(context.Context) (err error) {
	if s.settings.MasterKey != "" {
		s.masterKey, err = hex.DecodeString(s.settings.MasterKey)
	} else {
		s.masterKey, err = s.dir.Secret("master.key", vault.KeySize)
	}
	if err != nil {
		return fmt.Errorf("read master key: %w", err)
	}
	key, err := s.dir.Once(adminKeyName, 0o600, func() []byte { return []byte(functions.NewAdminKey() + "\n") })
	if err != nil {
		return fmt.Errorf("read admin key: %w", err)
	}
	s.adminKey = strings.TrimSpace(string(key))
	return nil
}

// openMedia opens the place for the files of messages: a bucket, a folder that was named, or one in the data folder.
func (s *System) openMedia(ctx context.Context) (err error) {
	s.media, err = media.Open(ctx, media.Config{
		Bucket: s.settings.Bucket, Folder: s.mediaFolder(), Endpoint: s.settings.S3Endpoint,
	})
	if folder, ok := s.media.(*media.Folder); ok {
		s.stack.push("media folder", func(context.Context) error { return folder.Close() })
	}
	return err
}

func (s *System) mediaFolder() string {
	if s.settings.Folder != "" {
		return s.settings.Folder
	}
	return s.dir.Path("media")
}

// listen takes the API's port before anything is started; requests wait in it until the API serves.
func (s *System) listen(ctx context.Context) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", loopback(s.settings.Port))
	if err != nil {
		return portError("PORT", s.settings.Port, err)
	}
	s.api = listener
	s.stack.push("port", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err //nolint:wrapcheck // the stack names it
		}
		return nil
	})
	return nil
}

func loopback(port uint16) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))) }

// portError says what to do about a port that cannot be had.
func portError(variable string, port uint16, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("port %d is taken by another program: end that, or choose another port with %s=", port, variable)
	}
	return fmt.Errorf("listen on port %d (%s): %w", port, variable, err)
}
