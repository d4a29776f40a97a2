package fault

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// ErrInvalid marks a fault that cannot be armed; the text says why.
var ErrInvalid = errors.New("invalid fault")

// DefaultDelay is the delay of DelayAck and Slow when none is given.
const DefaultDelay = time.Second

// Fault says what goes wrong, for whom and how often.
//
// Without Count and ForMs a fault of a connection or a login happens once to everyone it is meant for, and a fault of
// behaviour lasts until it is cleared. A Count is a total over all victims. With both, whichever ends first ends it.
type Fault struct {
	// ID is given when the fault is armed.
	ID   uint64 `json:"id,omitempty"`
	Kind Kind   `json:"kind"`
	// Phone limits the fault to one account, by its digits; empty is everyone.
	Phone string `json:"phone,omitempty"`
	// Device limits the fault to one companion; nil is all of them.
	Device *uint16 `json:"device,omitempty"`
	// Count is how often the fault happens.
	Count int `json:"count,omitempty"`
	// ForMs is how long the fault lasts, in milliseconds.
	ForMs int64 `json:"forMs,omitempty"`
	// DelayMs is the delay of kinds that have one, in milliseconds.
	DelayMs int64 `json:"delayMs,omitempty"`
	// Probability is the chance of each occasion, above 0 and up to 1; 0 stands for 1.
	Probability float64 `json:"probability,omitempty"`
}

// Delay is DelayMs as a duration, with its default.
func (f Fault) Delay() time.Duration {
	if f.DelayMs == 0 {
		return DefaultDelay
	}
	return time.Duration(f.DelayMs) * time.Millisecond
}

// Validate reports why a fault cannot be armed.
func (f Fault) Validate() error {
	switch {
	case families[f.Kind] == 0:
		known := slices.Sorted(maps.Keys(families))
		names := make([]string, len(known))
		for i, kind := range known {
			names[i] = string(kind)
		}
		return fmt.Errorf("%w: unknown kind %q, known are %s", ErrInvalid, f.Kind, strings.Join(names, ", "))
	case f.Count < 0 || f.ForMs < 0 || f.DelayMs < 0:
		return fmt.Errorf("%w: count, forMs and delayMs must not be negative", ErrInvalid)
	case f.Probability < 0 || f.Probability > 1:
		return fmt.Errorf("%w: probability must be between 0 and 1", ErrInvalid)
	case f.Device != nil && f.Phone == "":
		return fmt.Errorf("%w: a device needs its phone", ErrInvalid)
	case f.Device != nil && (*f.Device == 0 || *f.Device > 255):
		return fmt.Errorf("%w: companions are devices 1 to 255", ErrInvalid)
	default:
		return nil
	}
}

// unlimited reports whether the fault comes without any limit of its own.
func (f Fault) unlimited() bool { return f.Count == 0 && f.ForMs == 0 }

// Target is who an occasion is about. Device 0 stands for a connection that has not logged in yet.
type Target struct {
	Phone  string
	Device uint16
}

func (f Fault) concerns(target Target) bool {
	if f.Phone != "" && f.Phone != target.Phone {
		return false
	}
	return f.Device == nil || *f.Device == target.Device
}
