package webhook

import (
	"encoding"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

const (
	// minSpan is how long a schedule that ends in "…" goes on at least.
	minSpan = 72 * time.Hour
	// maxSteps and maxStep bound what an operator may configure.
	maxSteps = 1000
	maxStep  = 7 * 24 * time.Hour
	// jitterShare of a step is added to it at most, so that what failed together is not retried together.
	jitterShare = 10
	// defaultSchedule spans 77 h 35 m.
	defaultSchedule = "0,5s,5m,30m,2h,5h,10h,…"
)

// ErrInvalidSchedule says that a text is not a list of waiting times.
var ErrInvalidSchedule = errors.New(`webhook schedule must be a list of waiting times like "0,5s,5m,30m"`)

// Schedule is the waiting time before each attempt. The first one is always 0. The zero value is not a schedule.
type Schedule struct{ steps []time.Duration }

var (
	_ encoding.TextUnmarshaler = (*Schedule)(nil)
	_ encoding.TextMarshaler   = Schedule{}
)

// DefaultSchedule is 0, 5 s, 5 m, 30 m, 2 h, 5 h, then every 10 h until at least 72 h have passed.
func DefaultSchedule() Schedule {
	s, err := ParseSchedule(defaultSchedule)
	if err != nil {
		panic(err) // a constant
	}
	return s
}

// ParseSchedule reads comma-separated waiting times in Go's notation ("5s", "2h30m"; "0" needs no unit). A list that does
// not begin with 0 is taken to, because the first attempt follows the event at once. A last item of "…" or "..." repeats
// the one before it until the whole spans 72 h. The error wraps ErrInvalidSchedule.
func ParseSchedule(text string) (Schedule, error) {
	items := strings.Split(text, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	last := items[len(items)-1]
	openEnded := last == "…" || last == "..."
	if openEnded {
		items = items[:len(items)-1]
	}
	steps := []time.Duration{0}
	for i, item := range items {
		step, err := time.ParseDuration(item)
		if err != nil || step < 0 || step > maxStep {
			return Schedule{}, fmt.Errorf("%w: item %d, %q", ErrInvalidSchedule, i+1, item)
		}
		if i == 0 && step == 0 {
			continue
		}
		steps = append(steps, step)
	}
	if openEnded {
		step := steps[len(steps)-1]
		if step == 0 {
			return Schedule{}, fmt.Errorf("%w: nothing to repeat before %q", ErrInvalidSchedule, last)
		}
		for total := sum(steps); total < minSpan && len(steps) <= maxSteps; total += step {
			steps = append(steps, step)
		}
	}
	if len(steps) > maxSteps {
		return Schedule{}, fmt.Errorf("%w: more than %d attempts", ErrInvalidSchedule, maxSteps)
	}
	return Schedule{steps: steps}, nil
}

// Attempts is how many attempts a delivery gets before it is given up.
func (s Schedule) Attempts() int { return len(s.steps) }

// Span is the time from the event to the last attempt, without jitter.
func (s Schedule) Span() time.Duration { return sum(s.steps) }

// Delay is the waiting time after so many steps, without jitter. After the last step it stays what it was.
func (s Schedule) Delay(done int) time.Duration {
	return s.steps[min(done, len(s.steps)-1)]
}

// Next is the waiting time after so many steps with up to a tenth of jitter on top, or false when the schedule is over.
func (s Schedule) Next(done int) (time.Duration, bool) {
	if done >= len(s.steps) {
		return 0, false
	}
	step := s.steps[done]
	return step + rand.N(step/jitterShare+1), true //nolint:gosec // jitter needs no secrecy
}

// String is the schedule in the notation of ParseSchedule, without "…".
func (s Schedule) String() string {
	items := make([]string, len(s.steps))
	for i, step := range s.steps {
		items[i] = step.String()
	}
	return strings.Join(items, ",")
}

// UnmarshalText is ParseSchedule for configuration.
func (s *Schedule) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSchedule(string(text))
	return err
}

// MarshalText is String for configuration.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Equal says whether two schedules have the same steps.
func (s Schedule) Equal(other Schedule) bool { return slices.Equal(s.steps, other.steps) }

func sum(steps []time.Duration) (total time.Duration) {
	for _, step := range steps {
		total += step
	}
	return total
}
