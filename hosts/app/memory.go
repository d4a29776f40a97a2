package app

import (
	"context"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// gcPercent is how much garbage may pile up beside what is alive. Go's own 100 would let ten thousand idle sessions
	// take the room of twenty thousand; what a host allocates for a message is little, so that collecting twice as often
	// costs next to nothing. A GOGC of the operator's holds.
	gcPercent, goDefault = 40, 100
	// calm is how long no session must have come online before memory is given back.
	calm = 5 * time.Second
)

// janitor gives memory back to the system when a burst of logins is over: handshakes leave several times of what their
// sessions hold, and by itself Go would keep most of it for minutes.
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
	if before := debug.SetGCPercent(gcPercent); before != goDefault {
		debug.SetGCPercent(before)
	}
	ctx, j.cancel = context.WithCancel(context.WithoutCancel(ctx))
	j.running.Go(func() { j.run(ctx) })
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

func (j *janitor) run(ctx context.Context) {
	ticker := time.NewTicker(calm)
	defer ticker.Stop()
	var seen, cleaned int64
	for {
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
