package config

import (
	"encoding/hex"
	"errors"
	"log/slog"
	"time"
)

// Sessions is how a connection host treats its sessions. The defaults are the predecessor's where it had the setting.
type Sessions struct {
	ReconnectDelay Span    `env:"RECONNECT_DELAY"        envDefault:"5000"  desc:"base of the growing, random delay between reconnects (ms)"`
	MaxReconnects  int     `env:"MAX_RECONNECT_ATTEMPTS" envDefault:"10"    desc:"failures in a row after which a session gives up; it is probed every hour from then on"`
	HealthInterval Span    `env:"HEALTH_CHECK_INTERVAL"  envDefault:"30000" desc:"the most between two pings of a connection; one that is dead is found 25 s after that at the latest (ms)"`
	EgressAddress  string  `env:"EGRESS_ADDRESS"         envDefault:"default" desc:"name of the address that WhatsApp sees; hosts behind the same one share its connect rate"`
	ConnectRate    float64 `env:"CONNECT_RATE"           envDefault:"5"     desc:"connects a second of an egress address to begin with; 0 is no limit"`
	ConnectRateMax float64 `env:"CONNECT_RATE_MAX"       envDefault:"20"    desc:"connects a second of an egress address that are reached step by step while connects succeed"`
	MaxQRAttempts  int     `env:"MAX_QR_ATTEMPTS"        envDefault:"3"     desc:"QR codes shown before a pairing code is used instead, or the pairing fails"`
	QRTTL          Span    `env:"QR_CODE_TTL"            envDefault:"60000" desc:"how long the first QR code of a pairing is shown (ms)"`
	PairingCodeTTL Span    `env:"PAIRING_CODE_TTL"       envDefault:"60000" desc:"how long a pairing code is valid (ms)"`
}

// WhatsApp is where a connection host finds WhatsApp. Empty means WhatsApp's own servers.
type WhatsApp struct {
	Endpoint  string `env:"WHATSAPP_ENDPOINT"   desc:"host:port of a server that stands in for WhatsApp; only in dev"`
	RootCA    string `env:"WHATSAPP_ROOT_CA"    desc:"PEM file of the authority behind that server's certificate; only in dev"`
	NoiseRoot string `env:"WHATSAPP_NOISE_ROOT" desc:"hex of the public key behind that server's Noise certificates; only in dev"`
}

// Host is what a connection host of its own is told.
type Host struct {
	Sessions
	WhatsApp
	Media

	Mode        Mode       `env:"WAFLEET_ENV"           envDefault:"production" desc:"dev allows another server in WhatsApp's place"`
	HostID      string     `env:"HOST_ID"                                       desc:"name of this start of the process; made up when empty"`
	LogLevel    slog.Level `env:"LOG_LEVEL"             envDefault:"info"       desc:"debug, info, warn or error"`
	Listen      string     `env:"HOST_LISTEN"           envDefault:":8080"      desc:"where the host answers /health and /metrics; empty is nowhere"`
	PeerListen  string     `env:"HOST_PEER_LISTEN"      envDefault:":0"         desc:"where other hosts notice the death of this one; port 0 is any; empty is nowhere, and they wait for its leases"`
	DatabaseURL string     `env:"DATABASE_URL,notEmpty,unset"                   desc:"Postgres, directly"`
	RedisURL    string     `env:"REDIS_URL,notEmpty,unset"                      desc:"Redis; in production with TLS and a password"`
	Queue       string     `env:"QUEUE"                 envDefault:"sqs"        desc:"sqs, or postgres for an installation without AWS"`
	QueuePrefix string     `env:"QUEUE_PREFIX"                                  desc:"what stands before the name of every SQS queue"`
	SQSEndpoint string     `env:"SQS_ENDPOINT"                                  desc:"another SQS than Amazon's; only in dev"`
	HealthTable string     `env:"HEALTH_TABLE"                                  desc:"DynamoDB table that the host also reports its health to; empty is none"`
	MasterKey   string     `env:"MASTER_KEY,unset"                              desc:"hex of the 32 bytes that wrap the companies' data keys"`
}

// Validate checks the settings, all of them: the error joins what is wrong.
func (h *Host) Validate() error {
	var errs []error
	if !h.Mode.Dev() && (h.Endpoint != "" || h.RootCA != "" || h.NoiseRoot != "" || h.SQSEndpoint != "") {
		errs = append(errs, errors.New("WHATSAPP_ENDPOINT, WHATSAPP_ROOT_CA, WHATSAPP_NOISE_ROOT and SQS_ENDPOINT need WAFLEET_ENV=dev"))
	}
	if h.Queue != "sqs" && h.Queue != "postgres" {
		errs = append(errs, errors.New("QUEUE must be sqs or postgres"))
	}
	if key, err := hex.DecodeString(h.MasterKey); err != nil || len(key) != 32 {
		errs = append(errs, errors.New("MASTER_KEY must be 64 hex digits"))
	}
	if _, err := h.Root(); err != nil {
		errs = append(errs, err)
	}
	if err := h.validateMedia(h.Mode); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, h.Sessions.Validate())...)
}

// minHealthInterval keeps ten thousand connections from pinging all the time.
const minHealthInterval = time.Second

// Validate checks the settings.
func (s *Sessions) Validate() error {
	if s.HealthInterval.Duration() < minHealthInterval {
		return errors.New("HEALTH_CHECK_INTERVAL must be at least 1 s")
	}
	if s.EgressAddress == "" || s.ConnectRateMax < 0 {
		return errors.New("EGRESS_ADDRESS must have a name, CONNECT_RATE_MAX must be at least 0")
	}
	if s.MaxReconnects < 1 || s.MaxQRAttempts < 1 || s.ConnectRate < 0 {
		return errors.New("MAX_RECONNECT_ATTEMPTS and MAX_QR_ATTEMPTS must be at least 1, CONNECT_RATE at least 0")
	}
	return nil
}

// Root returns the Noise root, nil for WhatsApp's own.
func (w *WhatsApp) Root() (*[32]byte, error) {
	if w.NoiseRoot == "" {
		return nil, nil //nolint:nilnil // no root of one's own is a valid answer
	}
	key, err := hex.DecodeString(w.NoiseRoot)
	if err != nil || len(key) != 32 {
		return nil, errors.New("WHATSAPP_NOISE_ROOT must be 64 hex digits")
	}
	return (*[32]byte)(key), nil
}
