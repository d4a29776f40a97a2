package main

import (
	"bytes"
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/chaos/internal/history"
	"wafleet/infra/internal/load"
	"wafleet/infra/internal/parts"
	"wafleet/infra/internal/remote"
	"wafleet/infra/internal/tenants"
)

// TestMain makes this binary the parts of the system that chaos itself is, when the rig starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && parts.Known(os.Args[1]) {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"-companies", "0"},
		{"-companies", "10001"},
		{"-hosts", "1"},
		{"-rate", "0"},
		{"-window", "0s"},
		{"-scenario", "flood"},
		{"-scenario", "kill,"},
		{"-fast"},
		{"kill"},
		{"api", "redis"},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, exitUsage, run(t.Context(), args, nil, &out, &errs), args)
		require.NotEmpty(t, errs.String(), args)
		require.Empty(t, out.String(), args)
	}
	require.Equal(t, exitOK, run(t.Context(), []string{"-h"}, nil, new(bytes.Buffer), new(bytes.Buffer)))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parse([]string{"-scenario", "drop, kill", "-seed", "5"}, new(bytes.Buffer))
	require.NoError(t, err)
	require.Len(t, o.Scenarios, 2)
	require.Equal(t, "drop", o.Scenarios[0].name)
	require.EqualValues(t, 5, o.Seed)
	o, err = parse(nil, new(bytes.Buffer))
	require.NoError(t, err)
	require.Len(t, o.Scenarios, len(scenarios()))
	require.NotZero(t, o.Seed)
}

func TestWithoutProgramsItSaysWhatToDo(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), []string{"-bin", t.TempDir()}, nil, &out, &errs))
	require.Contains(t, errs.String(), "make build")
	require.Empty(t, out.String())
}

func TestEveryTargetIsAFigure(t *testing.T) {
	t.Parallel()
	full := figure{Back: 1, Gaps: 1, FirstBackMs: 1, LastBackMs: 1, GapP99Ms: 1, StaleFramesMost: 1, Closed: 1, PeakConnectsPerSecond: 1}
	for _, s := range scenarios() {
		for _, target := range s.targets {
			value, measured := full.value(target.Name)
			require.True(t, measured, target.Name)
			require.InDelta(t, 1, value, 0, target.Name)
			require.LessOrEqual(t, target.Aim, target.Most)
		}
	}
}

func TestWhoIsACompany(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, tenants.Most - 1} {
		_, company, customer := tenants.Company(n)
		require.True(t, isCompany(company))
		require.False(t, isCompany(customer))
	}
}

var base = time.UnixMilli(1_700_000_000_000)

// sent is a message that was due and answered at these milliseconds.
func sent(id, company string, due, answered int) load.Sent {
	return load.Sent{
		ID: id, Pair: load.Pair{CompanyID: company, Phone: "79"},
		Due: base.Add(time.Duration(due) * time.Millisecond), Answered: base.Add(time.Duration(answered) * time.Millisecond),
	}
}

func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	a, b, c := sent("A", "x", 0, 10), sent("B", "x", 20, 30), sent("C", "x", 25, 40)
	all := []load.Sent{a, b, c, sent("D", "y", 0, 1), sent("", "x", 50, 60)}
	for name, test := range map[string]struct {
		order string
		want  int
	}{
		"in order":                    {"D A B C", 0},
		"calls that overlap":          {"A C B D", 0},
		"one that overtook":           {"B A C", 1},
		"two that overtook":           {"C B A", 2},
		"one that never left":         {"B C", 0},
		"another chat is no business": {"B D C", 0},
	} {
		frames := make(map[string]uint64)
		for n, id := range strings.Fields(test.order) {
			frames[id] = uint64(n + 1)
		}
		require.Equal(t, test.want, outOfOrder(all, func(id string) uint64 { return frames[id] }), name)
	}
}

func TestShownTwice(t *testing.T) {
	t.Parallel()
	at := func(ms int64, text string, duplicate bool) remote.Message {
		return remote.Message{ReceivedAt: base.UnixMilli() + ms, Text: text, Duplicate: duplicate}
	}
	require.Equal(t, 1, shownTwice([]remote.Message{
		at(-5000, "before", false), at(1, "before", false), at(2, "a", false), at(3, "a", true), at(4, "b", false), at(5, "b", false),
	}, base))
}

func TestFigures(t *testing.T) {
	t.Parallel()
	s, known := scenariosOf("kill")
	require.True(t, known)
	h := history.Report{
		Back: []history.Return{{Device: "a", After: time.Second}, {Device: "b", After: 9 * time.Second}},
		Gaps: []history.Gap{{Lasted: time.Second}, {Lasted: 2 * time.Second}, {Lasted: 3 * time.Second}}, StaleMost: 1,
	}
	good := newFigure(s[0], h, verdict{accepted: 10, copies: 1, overtaken: 2})
	require.Empty(t, good.Broken, "the frame in hand, copies that phones fold and retries that are overtaken are fine")
	require.InDelta(t, 2000, good.GapP50Ms, 0)
	require.InDelta(t, 3000, good.GapP99Ms, 0)

	h.StaleMost, h.Down = 2, 1
	bad := newFigure(s[0], h, verdict{lost: 1, unfinished: 1, outOfOrder: 1, duplicates: 1, lostIncoming: 1, twiceIncoming: 1})
	require.Len(t, bad.Broken, 8)
	s, _ = scenariosOf("postgres")
	require.Len(t, newFigure(s[0], history.Report{Closed: 1}, verdict{}).Broken, 1)

	var out, document bytes.Buffer
	r := &result{Seed: 7, Hosts: 3, Companies: 30, Chaos: []figure{good, bad}}
	require.NoError(t, r.markdown(&out))
	for _, line := range []string{
		"| kill -9 of one host | first company back | 1000 | 8000 | 3000 | aim |",
		"| kill -9 of one host | last company back | 9000 | 20000 | 8000 | yes |",
		"seed 7", "| nothing |", "I7: incoming messages are lost (1)",
	} {
		require.Contains(t, out.String(), line)
	}
	require.NoError(t, publish(r, t.TempDir(), &document))
	require.True(t, strings.HasSuffix(document.String(), "}\n"), "the document is the last line")
	require.Contains(t, document.String(), `{"seed":7,"hosts":3,"companies":30,`)
	require.Equal(t, "**no**", grade(9, true, target{Most: 8, Aim: 3}))
	require.Equal(t, "**not measured**", grade(0, false, target{Most: 8, Aim: 3}))
}
