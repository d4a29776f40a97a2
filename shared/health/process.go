package health

import (
	"runtime/metrics"
	"syscall"
	"time"
)

// Process measures this process.
type Process struct {
	started time.Time
	at      time.Time     // of the last measurement
	used    time.Duration // processor time until then
}

// NewProcess begins to measure. It is not safe for concurrent use.
func NewProcess() *Process {
	now := time.Now()
	return &Process{started: now, at: now, used: processorTime()}
}

// StartedAt is when the measuring began.
func (p *Process) StartedAt() time.Time { return p.started }

// Load is how many processors were in use since it was asked the last time.
func (p *Process) Load() float64 {
	now, used := time.Now(), processorTime()
	wall, busy := now.Sub(p.at), used-p.used
	p.at, p.used = now, used
	if wall <= 0 {
		return 0
	}
	return busy.Seconds() / wall.Seconds()
}

// Memory is what the process holds of the machine's memory, in bytes, as Go's runtime knows it.
func Memory() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64()) //nolint:gosec // no machine has that much
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
