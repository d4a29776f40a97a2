package wasim

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"
)

// Options configure a server. The zero value is ready for use: it listens on a free port of the loopback interface,
// keeps everything in memory and has no control port.
type Options struct {
	// Listen is the address of the WhatsApp side, host:port; "127.0.0.1:0" if empty.
	Listen string
	// Control is the address of the control API, host:port. Empty means none; [Server.ControlHandler] serves it anyway.
	Control string
	// ControlPublic allows a control address that others than this machine can reach. The API has no key.
	ControlPublic bool
	// DataDir is the folder that accounts, companions, messages and keys survive a restart in; in memory if empty.
	DataDir string
	// Logger takes the log; nothing is logged without it.
	Logger *slog.Logger

	// JournalSize is how many rows the journal keeps; 200,000 if 0.
	JournalSize int
	// MaxFrame is the longest frame accepted from a client, in bytes; 4 MiB if 0.
	MaxFrame int
	// HandshakeTimeout bounds the time from the first byte to the login; 20 s if 0.
	HandshakeTimeout time.Duration
	// IdleTimeout closes connections that say nothing for so long; 3 min if 0. Clients send a ping every 30 s.
	IdleTimeout time.Duration
	// WriteTimeout closes connections that take nothing for so long; 20 s if 0.
	WriteTimeout time.Duration
	// PairingTimeout is how long the QRs of a connection can be scanned, after which it is closed; 160 s if 0: the first
	// QR is shown for a minute and five more for 20 s each.
	PairingTimeout time.Duration
	// ConfirmTimeout is how long a phone waits for the companion to confirm its pairing; 15 s if 0.
	ConfirmTimeout time.Duration
}

// ErrOptions marks options that cannot be used; the text says why.
var ErrOptions = errors.New("unusable options")

func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, "127.0.0.1:0")
	o.MaxFrame = cmp.Or(o.MaxFrame, 4<<20)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, 20*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 3*time.Minute)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 20*time.Second)
	o.PairingTimeout = cmp.Or(o.PairingTimeout, 160*time.Second)
	o.ConfirmTimeout = cmp.Or(o.ConfirmTimeout, 15*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o Options) validate() error {
	if _, _, err := net.SplitHostPort(o.Listen); err != nil {
		return fmt.Errorf("%w: listen address: %w", ErrOptions, err)
	}
	if o.Control == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(o.Control)
	if err != nil {
		return fmt.Errorf("%w: control address: %w", ErrOptions, err)
	}
	if ip := net.ParseIP(host); !o.ControlPublic && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: the control API has no key and %q is not a loopback address", ErrOptions, host)
	}
	return nil
}
