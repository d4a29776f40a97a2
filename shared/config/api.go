package config

import (
	"errors"
	"fmt"
	"time"

	"wafleet/shared/company"
	"wafleet/shared/phone"
)

// API is what the API's processes are told.
type API struct {
	Mode           Mode   `env:"WAFLEET_ENV"            envDefault:"production" desc:"dev allows test endpoints, loopback targets and plain http"`
	Provider       string `env:"WHATSAPP_PROVIDER"      envDefault:"whatsmeow"  desc:"what talks to WhatsApp; whatsmeow is the only one"`
	DefaultCompany string `env:"YCLIENTS_COMPANY_ID"                            desc:"the company of calls that name none and carry an admin key"`
	CompanyPhone   string `env:"COMPANY_PHONE"                                  desc:"the default company's number, for pairing codes"`
	UsePairingCode bool   `env:"USE_PAIRING_CODE"       envDefault:"false"      desc:"pair by code where a call does not say how"`
	MessageTTL     Span   `env:"MESSAGE_TTL"            envDefault:"24h"        desc:"how long a message without a ttl of its own may wait to be sent"`

	RateLimitWindow Span `env:"RATE_LIMIT_WINDOW"       envDefault:"60000" desc:"with RATE_LIMIT_MAX_REQUESTS the limit of companies that are created without one (ms)"`
	RateLimitMax    int  `env:"RATE_LIMIT_MAX_REQUESTS" envDefault:"30"    desc:"how many sends a company gets in RATE_LIMIT_WINDOW, and at once"`

	FFmpeg string `env:"FFMPEG" envDefault:"ffmpeg" desc:"the program that makes voice messages of other audio; without it they have to be Ogg with Opus"`

	AllowLoopbackTargets bool `env:"ALLOW_LOOPBACK_TARGETS" envDefault:"true" desc:"in dev: whether webhooks may go to, and media come from, this machine"`
}

// errProvider says that another library than ours was asked for.
var errProvider = errors.New("WHATSAPP_PROVIDER must be whatsmeow")

// Validate checks the settings and brings the phone number into its form.
func (a *API) Validate() error {
	if a.Provider != "whatsmeow" {
		return errProvider
	}
	if a.DefaultCompany != "" {
		if err := company.CheckID(a.DefaultCompany); err != nil {
			return fmt.Errorf("YCLIENTS_COMPANY_ID: %w", err)
		}
	}
	if a.CompanyPhone != "" {
		digits, err := phone.Normalize(a.CompanyPhone)
		if err != nil {
			return fmt.Errorf("COMPANY_PHONE: %w", err)
		}
		a.CompanyPhone = digits
	}
	if a.RateLimitMax < 1 || a.PerMinute() < 1 {
		return errors.New("RATE_LIMIT_MAX_REQUESTS and RATE_LIMIT_WINDOW must come to at least one send a minute")
	}
	return nil
}

// PerMinute is the default limit as a rate.
func (a *API) PerMinute() int {
	return int(int64(a.RateLimitMax) * int64(time.Minute) / int64(a.RateLimitWindow))
}
