package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"wafleet/infra/chaos/internal/history"
	"wafleet/infra/internal/figures"
	"wafleet/infra/internal/machine"
)

// target is what a figure of a scenario is measured by.
type target struct {
	What string  `json:"what"`
	Name string  `json:"name"`
	Most float64 `json:"atMost"`
	Aim  float64 `json:"aim"`
}

// figure is what one scenario found out.
type figure struct {
	Scenario string `json:"scenario"`
	Does     string `json:"does"`

	FirstBackMs float64 `json:"firstBackMs"` // from the fault to the first login of a company
	LastBackMs  float64 `json:"lastBackMs"`  // and to the first login of the last one that came back
	Back        int     `json:"companiesBack"`
	GapP50Ms    float64 `json:"gapP50Ms"` // without a socket, per company and time
	GapP99Ms    float64 `json:"gapP99Ms"`
	GapMaxMs    float64 `json:"gapMaxMs"`
	Gaps        int     `json:"gaps"`
	Closed      int     `json:"closed"` // sockets
	Down        int     `json:"companiesDown"`

	// StaleFramesMost is the most that one device sent on an older socket after a newer one had logged in; WhatsApp itself
	// ends the older one, so that this is what was on its way.
	StaleFramesMost       int `json:"staleFramesMost"`
	StaleFrames           int `json:"staleFrames"`
	Overlaps              int `json:"overlaps"` // logins that threw out another socket
	PeakConnectsPerSecond int `json:"peakConnectsPerSecond"`

	Accepted      int `json:"accepted"`
	Refused       int `json:"refused"`
	Lost          int `json:"lost"`
	Unfinished    int `json:"unfinished"`
	Duplicates    int `json:"duplicates"`
	Copies        int `json:"copies"` // folded by the phones
	Resends       int `json:"resends"`
	OutOfOrder    int `json:"outOfOrder"`
	Overtaken     int `json:"overtakenRetries"` // which is allowed: they were held up by themselves
	Incoming      int `json:"incoming"`
	LostIncoming  int `json:"lostIncoming"`
	TwiceIncoming int `json:"twiceIncoming"`

	Targets []target `json:"targets"`
	Broken  []string `json:"broken"`
}

// result is the whole document.
type result struct {
	Seed      uint64        `json:"seed"`
	Hosts     int           `json:"hosts"`
	Companies int           `json:"companies"`
	Rate      float64       `json:"rate"`
	Chaos     []figure      `json:"chaos"`
	Machine   machine.Info  `json:"machine"`
	Postgres  string        `json:"postgres"`
	Processes []string      `json:"processes"`
	StartedAt time.Time     `json:"startedAt"`
	Took      time.Duration `json:"tookNs"`
}

func newFigure(s scenario, h history.Report, v verdict) figure {
	f := figure{
		Scenario: s.name, Does: s.does, Targets: s.targets,
		Back: len(h.Back), Gaps: len(h.Gaps), Closed: h.Closed, Down: h.Down,
		StaleFramesMost: h.StaleMost, StaleFrames: h.StaleTotal, Overlaps: h.Overlaps, PeakConnectsPerSecond: h.PeakOpens,
		Accepted: v.accepted, Refused: v.refused, Lost: v.lost, Unfinished: v.unfinished, Duplicates: v.duplicates,
		Copies: v.copies, Resends: v.resends, OutOfOrder: v.outOfOrder, Overtaken: v.overtaken,
		Incoming: v.incoming, LostIncoming: v.lostIncoming, TwiceIncoming: v.twiceIncoming,
	}
	if n := len(h.Back); n > 0 {
		f.FirstBackMs, f.LastBackMs = millis(h.Back[0].After), millis(h.Back[n-1].After)
	}
	var gaps []time.Duration
	for _, gap := range h.Gaps {
		gaps = append(gaps, gap.Lasted)
	}
	f.GapP50Ms, f.GapP99Ms, f.GapMaxMs = figures.Percentile(gaps, 0.5), figures.Percentile(gaps, 0.99), figures.Percentile(gaps, 1)
	f.Broken = f.broken()
	return f
}

// broken lists what must never be.
func (f *figure) broken() (broken []string) {
	for _, never := range []struct {
		what string
		n    int
	}{
		{"I1: accepted messages are lost", f.Lost},
		{"I1: accepted messages have no end", f.Unfinished},
		{"I2: a device sent on after its successor came", max(f.StaleFramesMost-1, 0)}, // the frame in hand
		{"I4: messages overtook others of their chat", f.OutOfOrder},
		{"I5: messages arrived under two ids", f.Duplicates},
		{"I7: incoming messages are lost", f.LostIncoming},
		{"I7: incoming messages were told more than once", f.TwiceIncoming},
		{"companies did not come back", f.Down},
	} {
		if never.n > 0 {
			broken = append(broken, fmt.Sprintf("%s (%d)", never.what, never.n))
		}
	}
	if f.Scenario == "postgres" && f.Closed > 0 {
		broken = append(broken, fmt.Sprintf("sockets dropped (%d)", f.Closed))
	}
	return broken
}

// value is the figure that a target is about, if there was anything to measure.
func (f *figure) value(name string) (value float64, measured bool) {
	switch name {
	case "firstBackMs":
		return f.FirstBackMs, f.Back > 0
	case "lastBackMs":
		return f.LastBackMs, f.Back > 0
	case "gapP99Ms":
		return f.GapP99Ms, f.Gaps > 0
	case "staleFramesMost":
		return float64(f.StaleFramesMost), true
	case "closed":
		return float64(f.Closed), true
	case "peakConnectsPerSecond":
		return float64(f.PeakConnectsPerSecond), f.Closed > 0
	}
	return 0, false
}

func millis(d time.Duration) float64 { return figures.Round(float64(d) / float64(time.Millisecond)) }

// markdown writes the result for people.
func (r *result) markdown(out io.Writer) error {
	text := new(strings.Builder)
	fmt.Fprintf(text, "# Chaos: %d companies on %d hosts, %.0f messages a second each way, seed %d\n\n", r.Companies, r.Hosts, r.Rate, r.Seed)
	text.WriteString("| fault | figure | measured | at most | aim | |\n|---|---|---|---|---|---|\n")
	for i := range r.Chaos {
		f := &r.Chaos[i]
		for _, t := range f.Targets {
			value, measured := f.value(t.Name)
			fmt.Fprintf(text, "| %s | %s | %g | %g | %g | %s |\n", f.Does, t.What, value, t.Most, t.Aim, grade(value, measured, t))
		}
	}
	text.WriteString("\n| fault | back: first, last (ms) | gap p50, p99, most (ms) | sockets closed | accepted (refused) | lost | unfinished | " +
		"duplicates (copies, resends) | out of order (retries) | incoming lost, twice | stale frames, most of one | broken |\n" +
		"|---|---|---|---|---|---|---|---|---|---|---|---|\n")
	for i := range r.Chaos {
		f := &r.Chaos[i]
		fmt.Fprintf(text, "| %s | %.0f, %.0f (%d) | %.0f, %.0f, %.0f | %d | %d (%d) | %d | %d | %d (%d, %d) | %d (%d) | %d, %d of %d | %d, %d | %s |\n",
			f.Scenario, f.FirstBackMs, f.LastBackMs, f.Back, f.GapP50Ms, f.GapP99Ms, f.GapMaxMs, f.Closed, f.Accepted, f.Refused,
			f.Lost, f.Unfinished, f.Duplicates, f.Copies, f.Resends, f.OutOfOrder, f.Overtaken, f.LostIncoming, f.TwiceIncoming, f.Incoming,
			f.StaleFrames, f.StaleFramesMost, orNothing(f.Broken))
	}
	m := r.Machine
	fmt.Fprintf(text, "\nMachine: %d cores, %s, %s, %s, load average %.1f before. %s.\nWhat ran: %s.\n",
		m.Cores, m.CPU, m.System, m.Go, m.LoadAverage, r.Postgres, strings.Join(r.Processes, "; "))
	if _, err := io.WriteString(out, text.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func grade(value float64, measured bool, t target) string {
	switch {
	case !measured:
		return "**not measured**"
	case value <= t.Aim:
		return "aim"
	case value <= t.Most:
		return "yes"
	}
	return "**no**"
}

func orNothing(broken []string) string {
	if len(broken) == 0 {
		return "nothing"
	}
	return "**" + strings.Join(broken, ", ") + "**"
}
