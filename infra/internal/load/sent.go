package load

import (
	"context"
	"fmt"
	"time"

	"wafleet/infra/internal/remote"
)

// Pair is a company and the phone that it writes to.
type Pair struct{ CompanyID, Phone string }

// API takes messages. *remote.API is one.
type API interface {
	Send(ctx context.Context, companyID, phone, text string) (messageID string, err error)
}

// Phones tell what has arrived. *remote.Simulator is one.
type Phones interface {
	Messages(ctx context.Context, number string) ([]remote.Message, error)
}

var (
	_ API    = (*remote.API)(nil)
	_ Phones = (*remote.Simulator)(nil)
)

// Sent is a call of the API.
type Sent struct {
	Pair     Pair
	ID       string // empty if it was refused
	Due      time.Time
	Answered time.Time
	Err      error
}

// text is what is written: as long as a reminder of an appointment.
func text(n int) string {
	return fmt.Sprintf("Appointment %06d: we look forward to seeing you tomorrow at half past ten. Reply 1 to confirm.", n)
}

// send makes a call that was due at a time.
func send(ctx context.Context, api API, pair Pair, n int, due time.Time) Sent {
	id, err := api.Send(ctx, pair.CompanyID, pair.Phone, text(n))
	return Sent{Pair: pair, ID: id, Due: due, Answered: time.Now(), Err: err}
}

// Arrival is what a phone knows of a message.
type Arrival struct {
	At    time.Time // of the first copy
	Times int
}

// Collect waits until everything that was accepted has arrived, or the grace is over, and returns the arrivals by id.
func Collect(ctx context.Context, phones Phones, sent []Sent, grace time.Duration) (map[string]Arrival, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, grace+readTimeout, errSlowPhones)
	defer cancel()
	deadline := time.Now().Add(grace)
	numbers, accepted := recipients(sent)
	for {
		arrived := make(map[string]Arrival, len(sent))
		for _, number := range numbers {
			messages, err := phones.Messages(ctx, number)
			if err != nil {
				return nil, fmt.Errorf("read phone: %w", err)
			}
			note(arrived, messages)
		}
		if !missing(arrived, accepted) || time.Now().After(deadline) {
			return arrived, nil
		}
		if err := Pause(ctx, collectPause); err != nil {
			return nil, fmt.Errorf("wait for messages to arrive: %w", err)
		}
	}
}

const (
	collectPause = 500 * time.Millisecond
	// readTimeout bounds the last look at all phones.
	readTimeout = time.Minute
)

var errSlowPhones = fmt.Errorf("phones were not read within %s", readTimeout)

func note(arrived map[string]Arrival, messages []remote.Message) {
	for _, m := range messages {
		a := arrived[m.ID]
		if a.Times++; a.Times == 1 {
			a.At = m.Arrived()
		}
		arrived[m.ID] = a
	}
}

// recipients lists the phones that were written to, and the ids that were accepted.
func recipients(sent []Sent) (numbers, accepted []string) {
	seen := make(map[string]bool)
	for _, s := range sent {
		if s.ID != "" {
			accepted = append(accepted, s.ID)
		}
		if !seen[s.Pair.Phone] {
			seen[s.Pair.Phone] = true
			numbers = append(numbers, s.Pair.Phone)
		}
	}
	return numbers, accepted
}

func missing(arrived map[string]Arrival, accepted []string) bool {
	for _, id := range accepted {
		if arrived[id].Times == 0 {
			return true
		}
	}
	return false
}

// Pause waits, or returns early with what ended the context.
func Pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("broken off: %w", context.Cause(ctx))
	}
}
