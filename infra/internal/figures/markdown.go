package figures

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// line is a row of the table.
type line struct {
	metric      string
	ours, peers string
	target      string // name in Targets, or empty
}

// Markdown writes the result for people.
func (r *Result) Markdown(out io.Writer) error {
	text := new(strings.Builder)
	fmt.Fprintf(text, "# %d sessions, %s\n\n", r.Sessions, r.StartedAt.UTC().Format(time.DateTime+" UTC"))
	fmt.Fprintf(text, "| metric | wafleet | %s | target | ok |\n|---|---|---|---|---|\n", r.peer())
	for _, l := range r.lines() {
		target, ok := r.column(l.target)
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", l.metric, l.ours, l.peers, target, ok)
	}
	r.notes(text)
	if _, err := io.WriteString(out, text.String()); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func (r *Result) peer() string {
	if r.Baileys == nil {
		return "Baileys"
	}
	return fmt.Sprintf("%s (%d sessions)", r.Baileys.Client, r.Baileys.Sessions)
}

func (r *Result) lines() []line {
	peer := func(format string, read func(b *Baileys) []any) string {
		if r.Baileys == nil {
			return "–"
		}
		return fmt.Sprintf(format, read(r.Baileys)...)
	}
	closed := func(read func(Sends) float64) float64 { return MedianOf(r.Closed, read) }
	return []line{
		{
			metric: "idle memory a session", ours: fmt.Sprintf("%.0f KB", r.MemoryPerSessionKB), target: "memoryPerSessionKB",
			peers: peer("%.0f KB of RSS (%.0f KB of heap)", func(b *Baileys) []any {
				return []any{b.MemoryPerSessionKB, b.HeapPerSessionKB + b.AuthHeapPerSessionKB}
			}),
		},
		{
			metric: "logins a second", ours: fmt.Sprintf("%.0f", r.LoginsPerSecond), target: "loginsPerSecond",
			peers: peer("%.0f", func(b *Baileys) []any { return []any{b.LoginsPerSecond} }),
		},
		{
			metric: "CPU a login", ours: fmt.Sprintf("%.1f ms", MedianOf(r.Logins, func(l Login) float64 { return l.HostCPUMs })),
			peers: peer("%.1f ms", func(b *Baileys) []any { return []any{b.LoginCPUMs} }),
		},
		{
			metric: "sends a second, API to phone", ours: fmt.Sprintf("%.0f", r.SendsPerSecond), target: "sendsPerSecond",
			peers: peer("%.0f (library call to ack)", func(b *Baileys) []any { return []any{b.SendsPerSecond} }),
		},
		{
			metric: "latency then, p50 / p99",
			ours: fmt.Sprintf("%.0f / %.0f ms", closed(func(s Sends) float64 { return s.ToPhone.P50Ms }),
				closed(func(s Sends) float64 { return s.ToPhone.P99Ms })),
			peers: peer("%.0f / %.0f ms", func(b *Baileys) []any { return []any{b.P50Ms, b.P99Ms} }),
		},
		{metric: fmt.Sprintf("accept p50 at %.0f sends/s", r.Rate), ours: fmt.Sprintf("%.1f ms", r.AcceptP50Ms), peers: "–"},
		{metric: "accept p99", ours: fmt.Sprintf("%.1f ms", r.AcceptP99Ms), peers: "–", target: "acceptP99Ms"},
		{metric: "accept to phone p50", ours: fmt.Sprintf("%.1f ms", r.P50Ms), peers: "–", target: "p50Ms"},
		{metric: "accept to phone p99", ours: fmt.Sprintf("%.1f ms", r.P99Ms), peers: "–", target: "p99Ms"},
		{
			metric: "of that, after the answer, p50 / p99", peers: "–",
			ours: fmt.Sprintf("%.1f / %.1f ms", MedianOf(r.Open, func(o Open) float64 { return o.Handed.P50Ms }),
				MedianOf(r.Open, func(o Open) float64 { return o.Handed.P99Ms })),
		},
		{
			metric: "accepted and lost", ours: strconv.Itoa(r.Lost), peers: peer("%d", func(b *Baileys) []any { return []any{b.Lost} }),
		},
		{metric: "duplicates", ours: strconv.Itoa(r.Duplicates), peers: "–"},
		{metric: "refused", ours: strconv.Itoa(r.Refused), peers: peer("%d failed", func(b *Baileys) []any { return []any{b.Failed} })},
	}
}

// column is the target of a line, and whether it is met.
func (r *Result) column(name string) (target, ok string) {
	t, found := r.Target(name)
	if !found {
		return "", ""
	}
	if target = fmt.Sprintf("≥ %g", t.AtLeast); t.AtMost > 0 {
		target = fmt.Sprintf("≤ %g", t.AtMost)
	}
	if t.Met {
		return target, "yes"
	}
	return target, "**no**"
}

func (r *Result) notes(text *strings.Builder) {
	fmt.Fprintf(text, "\nTargets are for two cores that everything shares. Latencies count from when a call was due, to the phone as the simulator sees it.\n")
	fmt.Fprintf(text, "A login counts from the start of the host's process. Medians of %d runs.\n\n", len(r.Open))
	m := r.Machine
	fmt.Fprintf(text, "Machine: %d cores, %s, %s, %s, load average %.1f before. Disk: fsync p50 %.2f ms, p99 %.2f ms. %s, fsync on.\n",
		m.Cores, m.CPU, m.System, m.Go, m.LoadAverage, r.Fsync.P50Ms, r.Fsync.P99Ms, r.Postgres)
	if len(r.Settings) > 0 {
		fmt.Fprintf(text, "Settings of the environment: %s.\n", strings.Join(r.Settings, " "))
	}
	fmt.Fprintf(text, "\nProcesses:\n\n")
	for _, p := range r.Processes {
		fmt.Fprintf(text, "- %s\n", p)
	}
	if r.BaileysSkipped != "" {
		fmt.Fprintf(text, "\nNo Baileys: %s\n", r.BaileysSkipped)
	}
	r.details(text)
}

func (r *Result) details(text *strings.Builder) {
	fmt.Fprintf(text, "\n## Runs\n\nPairing: %.1f s, %.1f a second, %.0f ms of the host's CPU each; %.0f KB a session in the host that paired.\n\n",
		r.Pairing.Seconds, r.Pairing.PerSecond, r.Pairing.HostCPUMs, r.Pairing.MemoryPerSessionKB)
	text.WriteString("| restart | logins/s | first after | from there/s | CPU a login | KB a session | of it heap / stacks / idle heap | idle CPU |\n|---|---|---|---|---|---|---|---|\n")
	for i, l := range r.Logins {
		idle := r.Idle[i]
		fmt.Fprintf(text, "| %d | %.0f | %.2f s | %.0f | %.2f ms | %.0f | %.0f / %.0f / %.0f | %.1f %% of a core |\n", i+1, l.PerSecond, l.FirstSeconds,
			l.SteadyPerSecond, l.HostCPUMs, idle.MemoryPerSessionKB, idle.Heap.InUseKB, idle.Heap.StacksKB, idle.Heap.IdleKB, idle.CPUPercent)
	}
	text.WriteString("\n| load | sends | sends/s | p50 / p99 to phone | commits | WAL | CPU a send |\n|---|---|---|---|---|---|---|\n")
	for _, o := range r.Open {
		fmt.Fprintf(text, "| constant | %d | %.0f | %.1f / %.1f ms | %s |\n", o.Calls, r.Rate, o.ToPhone.P50Ms, o.ToPhone.P99Ms, o.Cost)
	}
	for _, s := range r.Closed {
		fmt.Fprintf(text, "| %d in flight | %d | %.0f | %.1f / %.1f ms | %s |\n", s.InFlight, s.Calls, s.PerSecond, s.ToPhone.P50Ms, s.ToPhone.P99Ms, s.Cost)
	}
}

// String is the last columns of a row: commits, log, and CPU by process.
func (c Cost) String() string {
	var cpu []string
	for _, name := range slices.Sorted(maps.Keys(c.CPUMs)) {
		cpu = append(cpu, fmt.Sprintf("%s %.2f", name, c.CPUMs[name]))
	}
	return fmt.Sprintf("%.1f | %.1f KB | %s ms", c.Commits, c.WALKB, strings.Join(cpu, ", "))
}
