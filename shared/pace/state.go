package pace

import (
	"math"
	"time"
)

// state is what is known about an address. The script keeps the same in Redis.
type state struct {
	rate      float64   // connects a second
	slot      time.Time // the next one
	since     time.Time // when the counting of good and bad began
	halved    time.Time
	good, bad int
}

// take is one step: learn from what became of the last connects, and reserve a slot.
func (s *state) take(now time.Time, start, most float64, good, bad int) (wait time.Duration) {
	if s.rate == 0 {
		s.rate, s.since = start, now
	}
	s.rate = min(s.rate, most)
	s.good += good
	s.bad += bad
	switch {
	case s.bad > fewFailures && s.bad*100 > s.good+s.bad:
		if now.Sub(s.halved) >= cooldown {
			s.rate = max(s.rate/2, min(start, slowest))
			s.halved = now
		}
		s.since, s.good, s.bad = now, 0, 0
	case now.Sub(s.since) >= window:
		if s.good > 0 {
			s.rate = min(s.rate+1, most)
		}
		s.since, s.good, s.bad = now, 0, 0
	}
	interval := time.Duration(float64(time.Second) / s.rate)
	burst := time.Duration(max(math.Floor(s.rate)-1, 0)) * interval
	if s.slot.Before(now) {
		s.slot = now
	}
	wait = max(s.slot.Sub(now)-burst, 0)
	s.slot = s.slot.Add(interval)
	return wait
}
