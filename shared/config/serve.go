package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
)

// Serve is what `wafleet serve` is told: the whole system on one machine.
type Serve struct {
	API
	Webhooks
	Sessions
	WhatsApp
	Media

	LogLevel slog.Level `env:"LOG_LEVEL"  envDefault:"info"   desc:"debug, info, warn or error"`
	Port     uint16     `env:"PORT"       envDefault:"3000"   desc:"where the API listens on the loopback address; 0 takes any free port"`
	Data     string     `env:"DATA"       envDefault:".local" desc:"the folder that everything is kept in"`
	Hosts    int        `env:"HOSTS"      envDefault:"1"      desc:"connection hosts; more than one run as processes of their own"`
	Shards   int        `env:"SHARDS"                         desc:"shards of a new installation, 64 if not set; they cannot be changed later"`

	DatabaseURL string `env:"DATABASE_URL,unset" desc:"Postgres; without it one is run in the data folder"`
	PGBin       string `env:"PG_BIN"             desc:"where initdb and postgres are, if they are not found by themselves"`
	RedisURL    string `env:"REDIS_URL,unset"    desc:"Redis, in production with TLS and a password; without it one runs in the process"`
	MasterKey   string `env:"MASTER_KEY,unset"   desc:"hex of the 32 bytes that wrap the companies' data keys; without it they are kept in the data folder"`

	Peer      Peer   `env:"WHATSAPP"                       desc:"live, or simulator; without it a simulator in dev and live in production"`
	WasimPort uint16 `env:"WASIM_PORT" envDefault:"3999"   desc:"where the simulator takes orders on the loopback address; 0 takes any free port"`
}

// Peer is what stands at the other end.
type Peer string

// What hosts can connect to, besides a server given by WHATSAPP_ENDPOINT.
const (
	Live      Peer = "live"
	Simulator Peer = "simulator"
)

// most of what one machine is asked to run; anything above is a slip of the finger.
const (
	maxHosts  = 64
	maxShards = 1024
)

// UnmarshalText reads what to connect to.
func (p *Peer) UnmarshalText(text []byte) error {
	switch v := Peer(text); v {
	case Live, Simulator, "":
		*p = v
		return nil
	default:
		return errors.New("must be live or simulator")
	}
}

// Simulated reports whether the system runs a simulator of its own.
func (s *Serve) Simulated() bool { return s.Peer == Simulator }

// Validate checks the settings and decides what is at the other end where nothing was said.
func (s *Serve) Validate() error {
	if err := errors.Join(s.API.Validate(), s.Sessions.Validate(), s.validateMedia(s.Mode)); err != nil {
		return err
	}
	if s.Hosts < 1 || s.Hosts > maxHosts {
		return fmt.Errorf("HOSTS must be 1 to %d", maxHosts)
	}
	if s.Shards < 0 || s.Shards > maxShards {
		return fmt.Errorf("SHARDS must be 1 to %d", maxShards)
	}
	if s.MasterKey != "" && !isHexOf32(s.MasterKey) {
		return errors.New("MASTER_KEY must be 64 hex digits")
	}
	if s.RedisURL != "" && !s.Mode.Dev() {
		if err := checkRedis(s.RedisURL); err != nil {
			return err
		}
	}
	return s.validateWhatsApp()
}

func (s *Serve) validateWhatsApp() error {
	if s.Endpoint != "" {
		return s.validateEndpoint()
	}
	switch {
	case s.Peer == "" && s.Mode.Dev():
		s.Peer = Simulator
	case s.Peer == "":
		s.Peer = Live
	case s.Peer == Simulator && !s.Mode.Dev():
		return errors.New("WHATSAPP=simulator needs WAFLEET_ENV=dev")
	}
	return nil
}

func (s *Serve) validateEndpoint() error {
	if !s.Mode.Dev() {
		return errors.New("WHATSAPP_ENDPOINT needs WAFLEET_ENV=dev")
	}
	if s.Peer != "" {
		return fmt.Errorf("WHATSAPP=%s and WHATSAPP_ENDPOINT exclude each other", s.Peer)
	}
	if _, _, err := net.SplitHostPort(s.Endpoint); err != nil {
		return errors.New("WHATSAPP_ENDPOINT must be host:port")
	}
	if s.RootCA == "" || !isHexOf32(s.NoiseRoot) {
		return errors.New("WHATSAPP_ENDPOINT needs WHATSAPP_ROOT_CA, a PEM file, and WHATSAPP_NOISE_ROOT, 64 hex digits")
	}
	return nil
}

// checkRedis refuses a Redis that others could read or write on the way.
func checkRedis(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("REDIS_URL must be a URL") // the cause would repeat the password
	}
	if password, _ := u.User.Password(); u.Scheme != "rediss" || password == "" {
		return errors.New("REDIS_URL must have TLS (rediss://) and a password in production")
	}
	return nil
}

func isHexOf32(text string) bool {
	key, err := hex.DecodeString(text)
	return err == nil && len(key) == 32
}
