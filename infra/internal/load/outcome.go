package load

import "time"

// Outcome is what became of some calls.
type Outcome struct {
	Calls      int
	Refused    int // no answer that accepts
	Lost       int // accepted and never arrived
	Duplicates int // copies beyond the first
	FirstError error

	Accept  []time.Duration // from when the call was due to its answer
	ToPhone []time.Duration // from when the call was due to the phone
	Handed  []time.Duration // from the answer to the phone
}

// Judge compares what was sent with what has arrived.
func Judge(sent []Sent, arrived map[string]Arrival) Outcome {
	o := Outcome{Calls: len(sent)}
	for _, s := range sent {
		if s.ID == "" {
			o.Refused++
			if o.FirstError == nil {
				o.FirstError = s.Err
			}
			continue
		}
		o.Accept = append(o.Accept, s.Answered.Sub(s.Due))
		a := arrived[s.ID]
		if a.Times == 0 {
			o.Lost++
			continue
		}
		o.Duplicates += a.Times - 1
		o.ToPhone = append(o.ToPhone, a.At.Sub(s.Due))
		o.Handed = append(o.Handed, a.At.Sub(s.Answered))
	}
	return o
}

// Within counts the messages that arrived in a span of time.
func Within(sent []Sent, arrived map[string]Arrival, from, to time.Time) int {
	count := 0
	for _, s := range sent {
		if a := arrived[s.ID]; a.Times > 0 && !a.At.Before(from) && a.At.Before(to) {
			count++
		}
	}
	return count
}
