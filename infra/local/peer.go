package local

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"wafleet/infra/local/datadir"
	"wafleet/infra/wasim"
	"wafleet/shared/config"
)

// peer is what hosts connect to. The zero value is WhatsApp itself.
type peer struct {
	config.WhatsApp
	rootCA     []byte
	controlURL string // of the simulator, if this process runs it
}

// startPeer finds or starts what stands at the other end.
func (s *System) startPeer(ctx context.Context) error {
	switch {
	case s.settings.Endpoint != "":
		return s.useEndpoint()
	case s.settings.Simulated():
		return s.startSimulator(ctx)
	default:
		return nil
	}
}

// useEndpoint takes the server that the environment names.
func (s *System) useEndpoint() error {
	path, err := filepath.Abs(s.settings.RootCA)
	if err != nil {
		return fmt.Errorf("find WHATSAPP_ROOT_CA: %w", err)
	}
	rootCA, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read WHATSAPP_ROOT_CA: %w", err)
	}
	s.peer = peer{WhatsApp: s.settings.WhatsApp, rootCA: rootCA}
	s.peer.RootCA = path
	return nil
}

func (s *System) startSimulator(ctx context.Context) error {
	simulator, err := wasim.New(wasim.Options{
		Listen:  s.simulatorAddress(ctx),
		Control: loopback(s.settings.WasimPort),
		DataDir: s.dir.Path("wasim"),
		Logger:  s.log.With("part", "wasim"),
	})
	if err != nil {
		return fmt.Errorf("start simulator: %w", err)
	}
	if err := simulator.Start(ctx); err != nil {
		return portError("WASIM_PORT", s.settings.WasimPort, err)
	}
	s.stack.push("simulator", simulator.Stop)

	rootCA, noiseRoot := simulator.RootCA(), simulator.NoiseRoot()
	path := s.dir.Path("wasim", "root-ca.pem")
	if err := datadir.Replace(path, rootCA, 0o644); err != nil {
		return err
	}
	s.peer = peer{
		WhatsApp: config.WhatsApp{
			Endpoint: simulator.Endpoint(), RootCA: path, NoiseRoot: hex.EncodeToString(noiseRoot[:]),
		},
		rootCA:     rootCA,
		controlURL: simulator.ControlURL(),
	}
	return nil
}

// simulatorAddress is the address of the last run if it is still free, so that a shell that sourced dev.env goes on
// working, else any free one.
func (s *System) simulatorAddress(ctx context.Context) string {
	var config net.ListenConfig
	if last := s.previous.Get("WHATSAPP_ENDPOINT"); s.previous.Own("WHATSAPP_ENDPOINT", last) {
		if listener, err := config.Listen(ctx, "tcp", last); err == nil {
			_ = listener.Close() // nothing has connected yet
			return last
		}
	}
	return loopback(0)
}
