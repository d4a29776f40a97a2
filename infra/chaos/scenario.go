package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"wafleet/infra/internal/load"
)

const (
	// pauseFor is how long a host stands still: its lease runs out after 6 s, and is taken within 2 s after that.
	pauseFor = 10 * time.Second
	// postgresAway is how long the database is away.
	postgresAway = 20 * time.Second
	// connectRate is the pace of the fleet where it is the point: connects a second.
	connectRate = 25
)

// scenario is a fault and how long it lasts.
type scenario struct {
	name string
	// does is what it does, for people.
	does string
	// strike does it to a fleet, and returns when it is over.
	strike func(ctx context.Context, f *fleet) error
	// lasts is how long strike takes.
	lasts time.Duration
	// settings are more settings of the hosts than those of the rig.
	settings []string
	targets  []target
}

func scenarios() []scenario {
	return []scenario{
		{
			name: "kill", does: "kill -9 of one host", strike: kill,
			targets: []target{
				{"first company back", "firstBackMs", 8000, 3000}, {"last company back", "lastBackMs", 20_000, 8000},
			},
		},
		{
			name: "drain", does: "SIGTERM of one host", strike: drain,
			targets: []target{{"gap p99", "gapP99Ms", 3000, 1000}},
		},
		{
			name: "pause", does: fmt.Sprintf("SIGSTOP of one host for %s, then SIGCONT", pauseFor), strike: pause, lasts: pauseFor,
			targets: []target{{"frames after the successor's login", "staleFramesMost", 1, 0}},
		},
		{
			name: "postgres", does: fmt.Sprintf("Postgres away for %s", postgresAway), strike: restartPostgres, lasts: postgresAway,
			targets: []target{{"sockets dropped", "closed", 0, 0}},
		},
		{
			name: "drop", does: "every socket is reset at once", strike: drop,
			settings: []string{fmt.Sprintf("CONNECT_RATE=%d", connectRate), fmt.Sprintf("CONNECT_RATE_MAX=%d", connectRate)},
			// A bucket may give a whole second's slots at the beginning of a second, and those of the next one at its end.
			targets: []target{{"connects within a second", "peakConnectsPerSecond", 2 * connectRate, connectRate}},
		},
	}
}

func scenarioNames() []string {
	names := []string{"all"}
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// scenariosOf finds scenarios by a list of names.
func scenariosOf(list string) (found []scenario, known bool) {
	if list == "all" {
		return scenarios(), true
	}
	for name := range strings.SplitSeq(list, ",") {
		n := len(found)
		for _, s := range scenarios() {
			if s.name == strings.TrimSpace(name) {
				found = append(found, s)
			}
		}
		if len(found) == n {
			return nil, false
		}
	}
	return found, true
}

func kill(_ context.Context, f *fleet) error { return f.take().Kill() }

func drain(ctx context.Context, f *fleet) error {
	start, host := time.Now(), f.take()
	if err := host.Stop(ctx); err != nil {
		return err
	}
	f.say("it drained in %.1f s", time.Since(start).Seconds())
	return nil
}

func pause(ctx context.Context, f *fleet) error {
	host := f.pick()
	if err := host.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	err := load.Pause(ctx, pauseFor)
	if more := host.Signal(syscall.SIGCONT); more != nil {
		return more
	}
	return err
}

func restartPostgres(ctx context.Context, f *fleet) error {
	return f.rig.RestartPostgres(ctx, postgresAway)
}

func drop(ctx context.Context, f *fleet) error { return f.rig.Simulator().DropAll(ctx) }
