package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/machine"
	"wafleet/infra/internal/parts"
	"wafleet/infra/internal/rig"
)

// stopTimeout bounds the end of what was started.
const stopTimeout = time.Minute

// filesPerCompany and files are what one process may need open: sockets, and what it works with.
const filesPerCompany, files = 2, 1000

// errBroken is the one result that is a failure.
var errBroken = errors.New("something happened that must not")

// chaos goes through the scenarios, and writes the result to out and into the folder.
func chaos(ctx context.Context, o options, out, notes io.Writer) error {
	r, err := measure(ctx, o, notes)
	if err != nil {
		return err
	}
	if err := publish(r, o.Out, out); err != nil {
		return err
	}
	for i := range r.Chaos {
		if broken := r.Chaos[i].Broken; len(broken) > 0 {
			return fmt.Errorf("%w: %s: %s", errBroken, r.Chaos[i].Scenario, strings.Join(broken, ", "))
		}
	}
	return nil
}

func measure(ctx context.Context, o options, notes io.Writer) (r *result, err error) {
	if err := machine.RaiseOpenFiles(uint64(o.Companies*filesPerCompany + files)); err != nil { //nolint:gosec // both are small
		return nil, err
	}
	for _, program := range []string{"connhost", "wasim"} {
		if _, err := os.Stat(filepath.Join(o.Bin, program)); err != nil {
			return nil, fmt.Errorf("find %s: %w (make build makes it)", program, err)
		}
	}
	system := rig.New(rig.Options{
		Bin: o.Bin, Self: o.Self, AdminKey: parts.NewAdminKey(), Environ: o.Environ, Log: o.Log,
		Logger: slog.New(slog.NewTextHandler(notes, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	f := &fleet{
		rig: system, companies: o.Companies, notes: notes, start: time.Now(),
		random: rand.New(rand.NewPCG(o.Seed, 0)), //nolint:gosec // to be repeated, not to be guarded
	}
	r = &result{
		Seed: o.Seed, Hosts: o.Hosts, Companies: o.Companies, Rate: o.Rate, Machine: machine.Describe(), StartedAt: f.start,
	}
	f.say("seed %d; starting Postgres, Redis, simulator and API", o.Seed)
	if err := system.Start(ctx); err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		err = errors.Join(err, system.Stop(ctx))
	}()
	r.Processes = system.Processes()
	if r.Postgres, err = system.Postgres(ctx); err != nil {
		return nil, err
	}
	if r.Chaos, err = f.all(ctx, o); err != nil {
		f.say("the end of the hosts' logs:\n%s", system.HostLog())
		return nil, err
	}
	r.Took = time.Since(f.start)
	return r, nil
}

// all goes through the scenarios while the journal is read.
func (f *fleet) all(ctx context.Context, o options) (all []figure, err error) {
	j := newJournal(f.rig.Simulator())
	work, ctx := errgroup.WithContext(ctx)
	following, end := context.WithCancel(ctx)
	work.Go(func() error { return j.follow(following) })
	work.Go(func() error {
		defer end()
		f.say("starting %d hosts, pairing %d companies", o.Hosts, f.companies)
		if err := f.grow(ctx, o.Hosts, nil); err != nil {
			return err
		}
		if err := f.link(ctx, j); err != nil {
			return err
		}
		for _, s := range o.Scenarios {
			one, err := f.play(ctx, o, s, j)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			all = append(all, one)
		}
		return nil
	})
	err = work.Wait()
	return all, err //nolint:wrapcheck // wrapped above
}

// play is one scenario, from a whole fleet with everybody online to what became of them.
func (f *fleet) play(ctx context.Context, o options, s scenario, j *journal) (figure, error) {
	if err := f.grow(ctx, o.Hosts, s.settings); err != nil {
		return figure{}, err
	}
	if err := f.awaitOnline(ctx, j); err != nil {
		return figure{}, err
	}
	f.say("%s: %s", s.name, s.does)
	var written *traffic
	var began time.Time
	work, working := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		written, err = f.run(working, o.Rate, warmUp+s.lasts+o.Window)
		return err
	})
	work.Go(func() error {
		if err := load.Pause(working, warmUp); err != nil {
			return err
		}
		began = time.Now()
		j.begin(began)
		return s.strike(working, f)
	})
	if err := work.Wait(); err != nil {
		return figure{}, err //nolint:wrapcheck // wrapped by the caller
	}
	if err := f.awaitOnline(ctx, j); err != nil {
		f.say("%v", err) // which is a figure
	}
	report := j.report()
	v, err := f.judge(ctx, written, j)
	if err != nil {
		return figure{}, err
	}
	one := newFigure(s, report, v)
	f.say("%s: %d companies back after %.0f to %.0f ms, gaps p50 %.0f ms, p99 %.0f ms; %d accepted, %d lost, %d incoming lost; broken: %s",
		s.name, one.Back, one.FirstBackMs, one.LastBackMs, one.GapP50Ms, one.GapP99Ms, one.Accepted, one.Lost, one.LostIncoming, orNothing(one.Broken))
	return one, nil
}

// publish writes the table and the document; the latter is the last line.
func publish(r *result, folder string, out io.Writer) error {
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode result: %w", err)
	}
	table := new(strings.Builder)
	if err := r.markdown(table); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // results are no secret
		return fmt.Errorf("make folder for results: %w", err)
	}
	for name, content := range map[string]string{"results.md": table.String(), "results.json": string(document) + "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil { //nolint:gosec // the same
			return fmt.Errorf("keep results: %w", err)
		}
	}
	if _, err := fmt.Fprintf(out, "%s\n%s\n", table, document); err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	return nil
}
