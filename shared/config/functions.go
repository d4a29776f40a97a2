package config

import (
	"encoding/hex"
	"errors"
	"log/slog"
)

// Functions is what a function is told beside the settings of the API: where everything is.
type Functions struct {
	API
	Media

	LogLevel    slog.Level `env:"LOG_LEVEL"             envDefault:"info" desc:"debug, info, warn or error"`
	DatabaseURL string     `env:"DATABASE_URL,notEmpty,unset"             desc:"Postgres, through RDS Proxy or PgBouncer where there is one"`
	RedisURL    string     `env:"REDIS_URL,notEmpty,unset"                desc:"Redis; in production with TLS and a password"`
	QueuePrefix string     `env:"QUEUE_PREFIX"                            desc:"what stands before the name of every SQS queue"`
	SQSEndpoint string     `env:"SQS_ENDPOINT"                            desc:"another SQS than Amazon's; only in dev"`
	MasterKey   string     `env:"MASTER_KEY,unset"                        desc:"hex of the 32 bytes that wrap the companies' data keys"`
}

// Validate checks the settings.
func (f *Functions) Validate() error {
	if err := f.API.Validate(); err != nil {
		return err
	}
	if err := f.validateMedia(f.Mode); err != nil {
		return err
	}
	if f.SQSEndpoint != "" && !f.Mode.Dev() {
		return errors.New("SQS_ENDPOINT needs WAFLEET_ENV=dev")
	}
	if key, err := hex.DecodeString(f.MasterKey); err != nil || len(key) != 32 {
		return errors.New("MASTER_KEY must be 64 hex digits")
	}
	return nil
}
