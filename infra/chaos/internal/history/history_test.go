package history_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/chaos/internal/history"
	"wafleet/infra/internal/remote"
)

// tape writes a journal.
type tape struct {
	n   uint64
	at  int64
	out []remote.Row
}

// after lets time pass.
func (t *tape) after(d time.Duration) *tape {
	t.at += d.Milliseconds()
	return t
}

func (t *tape) row(r remote.Row) *tape {
	t.n++
	r.N, r.T = t.n, t.at
	t.out = append(t.out, r)
	return t
}

func (t *tape) open(device string, connection uint64) *tape {
	return t.row(remote.Row{Device: device, Connection: connection, Tag: "open"})
}

func (t *tape) login(device string, connection uint64) *tape {
	t.open(device, connection)
	return t.row(remote.Row{Device: device, Connection: connection, Direction: "out", Tag: "success"})
}

func (t *tape) close(device string, connection uint64) *tape {
	return t.row(remote.Row{Device: device, Connection: connection, Tag: "close"})
}

func (t *tape) frame(device string, connection uint64, id string) *tape {
	return t.row(remote.Row{Device: device, Connection: connection, Direction: "in", Tag: "message", ID: id})
}

const (
	a, b     = "791:1", "791:2"
	other    = "792:1"
	customer = "799:1"
	second   = time.Second
)

var start = time.UnixMilli(1_700_000_000_000)

// newTape begins with three devices online, ten seconds before the start.
func newTape() *tape {
	t := &tape{at: start.UnixMilli() - 10_000}
	return t.login(a, 1).login(other, 2).login(customer, 3).login(b, 4)
}

func record(t *tape) *history.Recorder {
	r := history.NewRecorder(func(number string) bool { return strings.HasPrefix(number, "791") || strings.HasPrefix(number, "792") })
	cut := 0
	for cut < len(t.out) && t.out[cut].T < start.UnixMilli() {
		cut++
	}
	r.Add(t.out[:cut])
	r.Begin(start)
	r.Add(t.out[cut:])
	return r
}

func TestNothingHappens(t *testing.T) {
	t.Parallel()
	r := record(newTape().after(12*second).frame(a, 1, "A"))
	require.Equal(t, history.Report{Span: 2 * second}, r.Report())
	require.Equal(t, 3, r.Online(), "customers aside")
	require.EqualValues(t, 9, r.FirstFrame("A"))
	require.Zero(t, r.FirstFrame("B"))
}

func TestGapsAndReturns(t *testing.T) {
	t.Parallel()
	r := record(newTape().after(11*second).
		close(a, 1).close(other, 2).close(customer, 3).
		after(second).login(a, 5).
		after(2*second).login(other, 6).
		after(second).close(a, 5).after(second/2).login(a, 7).
		after(second).close(other, 6))
	report := r.Report()
	require.Equal(t, 4, report.Closed)
	require.Equal(t, []history.Return{{a, 2 * second}, {other, 4 * second}}, report.Back, "the first time of each")
	require.Equal(t, []history.Gap{{a, second}, {other, 3 * second}, {a, second / 2}}, report.Gaps)
	require.Equal(t, 1, report.Down)
	require.Equal(t, 2, r.Online())
	require.Zero(t, report.Overlaps)
}

// What was down before counts from the beginning.
func TestAGapThatBeganBefore(t *testing.T) {
	t.Parallel()
	r := record(newTape().close(a, 1).after(13*second).login(a, 5))
	require.Equal(t, []history.Gap{{a, 3 * second}}, r.Report().Gaps)
}

func TestTwoHostsOnTheLine(t *testing.T) {
	t.Parallel()
	r := record(newTape().after(11*second).
		frame(a, 1, "A").
		login(a, 5).
		frame(a, 1, "B").frame(a, 1, "C").frame(b, 4, "D").
		close(a, 1).
		frame(a, 5, "E").frame(a, 5, "A").
		login(b, 6).frame(b, 4, "F").close(b, 4))
	report := r.Report()
	require.Equal(t, 2, report.Overlaps)
	require.Equal(t, 2, report.StaleMost)
	require.Equal(t, 3, report.StaleTotal)
	require.Empty(t, report.Gaps, "somebody was always there")
	require.Zero(t, report.Down, "the end of an older connection is no loss")
	require.Less(t, r.FirstFrame("A"), r.FirstFrame("B"), "the first time counts")
}

func TestTheRateOfConnects(t *testing.T) {
	t.Parallel()
	tape := newTape().after(11 * second)
	for n := range uint64(10) {
		tape.after(300*time.Millisecond).open(a, 10+n)
	}
	require.Equal(t, 4, record(tape).Report().PeakOpens)
}
