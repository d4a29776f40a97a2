package app

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// calm is how often the janitor looks, and how long no session must have come online before memory is given back.
	calm = 5 * time.Second
	// goDefault is Go's own GOGC: room for as much garbage as there is alive, so that ten thousand idle sessions would take
	// the room of twenty thousand.
	goDefault = 100
	// leastPercent and leastGarbage bound the room for garbage from below: the first for large hosts, where it is many
	// times what a second of traffic leaves behind, the second for small ones, where collecting all the time would
	// take a fifth of the processor.
	leastPercent, leastGarbage = 30, 32 << 20
	mostPercent                = 800
)

// janitor keeps the memory of the process close to what its sessions hold. It sets the pace of the collector by the size
// of the host, unless the operator did (GOGC), and gives memory back to the system when a burst of logins is over:
// handshakes leave several times of what their sessions hold, and by itself Go would keep most of it for minutes.
type janitor struct {
	logins  func() int64
	release func() // debug.FreeOSMemory
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newJanitor(logins func() int64) *janitor {
	return &janitor{logins: logins, release: debug.FreeOSMemory}
}

// Start begins to watch.
func (j *janitor) Start(ctx context.Context) error {
	ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	percent := debug.SetGCPercent(goDefault)
	debug.SetGCPercent(percent)
	j.running.Go(func() { j.run(ctx, percent != goDefault) })
	return nil
}

// Stop ends the watch. It may be called before Start.
func (j *janitor) Stop(context.Context) error {
	if j.cancel != nil {
		j.cancel()
		j.running.Wait()
	}
	return nil
}

func (j *janitor) run(ctx context.Context, operators bool) {
	ticker := time.NewTicker(calm)
	defer ticker.Stop()
	var seen, cleaned int64
	for {
		if !operators {
			debug.SetGCPercent(gcPercent(liveBytes()))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		logins := j.logins()
		if logins == seen && logins != cleaned {
			j.release()
			cleaned = logins
		}
		seen = logins
	}
}

// gcPercent is the GOGC for a heap of which so much is alive.
func gcPercent(live uint64) int {
	percent := uint64(leastGarbage) * 100 / max(live, 1)
	return int(min(max(percent, leastPercent), mostPercent))
}

// liveBytes is what the latest collection found alive.
func liveBytes() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return leastGarbage // a Go without that metric: as much as is alive, Go's own choice
	}
	return sample[0].Value.Uint64()
}
