package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Load reads a process's settings from its environment, as os.Environ gives it. An error names the variable.
func Load[T any](environ []string) (T, error) {
	settings, err := env.ParseAsWithOptions[T](env.Options{Environment: env.ToMap(environ)})
	if err != nil {
		return settings, fmt.Errorf("read environment: %w", explain(err, reflect.TypeFor[T]()))
	}
	if v, ok := any(&settings).(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return settings, fmt.Errorf("read environment: %w", err)
		}
	}
	return settings, nil
}

// Mode is where a process runs.
type Mode string

// The modes. Production is what an empty environment means.
const (
	Production Mode = "production"
	Dev        Mode = "dev"
)

var errUnknownMode = errors.New("must be dev or production")

// UnmarshalText reads a mode.
func (m *Mode) UnmarshalText(text []byte) error {
	switch Mode(text) {
	case Dev:
		*m = Dev
	case Production, "":
		*m = Production
	default:
		return errUnknownMode
	}
	return nil
}

// Dev says that test endpoints, loopback targets and plain http are allowed.
func (m Mode) Dev() bool { return m == Dev }

// Span is a length of time as the predecessor wrote it, a bare number of milliseconds, or as Go does ("90s", "24h").
type Span time.Duration

var errNoSpan = errors.New("must be a positive number of milliseconds, or a duration such as 90s")

// UnmarshalText reads a positive span.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	if millis, notNumber := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); notNumber == nil {
		d, err = time.Duration(millis)*time.Millisecond, nil
		if d/time.Millisecond != time.Duration(millis) {
			return errNoSpan
		}
	}
	if err != nil || d <= 0 {
		return errNoSpan
	}
	*s = Span(d)
	return nil
}

// Duration returns the span for use.
func (s Span) Duration() time.Duration { return time.Duration(s) }
