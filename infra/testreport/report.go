package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// event is one line of `go test -json`.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// test names a test; one without a name is a package.
type test struct{ pkg, name string }

func (t test) String() string {
	return strings.TrimSpace(strings.TrimPrefix(t.pkg, "wafleet/") + " " + t.name)
}

// skip is why a test did not run.
type skip struct {
	test
	reason string
}

// report follows a run.
type report struct {
	out      io.Writer
	verbose  bool
	output   map[test][]string // what running tests and packages have said
	passed   int
	packages int
	skipped  []skip
	failed   []test
}

func newReport(out io.Writer, verbose bool) *report {
	return &report{out: out, verbose: verbose, output: make(map[test][]string)}
}

// read follows the events to their end. Lines that are no events are shown as they are.
func (r *report) read(events io.Reader) error {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		switch {
		case len(line) == 0:
		case json.Unmarshal(line, &e) != nil:
			r.print(string(line))
		default:
			r.follow(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read events: %w", err)
		}
	}
}

func (r *report) follow(e event) {
	t := test{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		r.print(e.Output)
	case "output":
		if r.verbose {
			r.print(e.Output)
		}
		r.output[t] = append(r.output[t], e.Output)
	case "pass", "fail", "skip":
		r.end(t, e.Action)
		delete(r.output, t)
	}
}

// end notes how a test or a package has ended.
func (r *report) end(t test, how string) {
	if t.name == "" {
		r.endPackage(t, how)
		return
	}
	switch how {
	case "pass":
		r.passed++
	case "skip":
		r.skipped = append(r.skipped, skip{t, reason(r.output[t])})
	case "fail":
		r.failed = append(r.failed, t)
		if !r.verbose {
			r.print(r.output[t]...)
		}
	}
}

// endPackage shows all that a failed package has said outside its tests, which is where a panic or a race shows up; of
// another one the last line, "ok …".
func (r *report) endPackage(t test, how string) {
	said := r.output[t]
	if how == "skip" || slices.ContainsFunc(said, func(line string) bool { return strings.Contains(line, "[no test files]") }) {
		return
	}
	r.packages++
	if how == "fail" && !slices.ContainsFunc(r.failed, func(f test) bool { return f.pkg == t.pkg }) {
		r.failed = append(r.failed, t) // it was not a test that failed
	}
	if r.verbose {
		return
	}
	if how == "fail" {
		r.printUnfinished(t.pkg)
		r.print(said...)
	} else if len(said) > 0 {
		r.print(said[len(said)-1])
	}
}

// printUnfinished shows what the tests have said that never ended, because the process died in them.
func (r *report) printUnfinished(pkg string) {
	for t, said := range r.output {
		if t.pkg == pkg && t.name != "" {
			r.print(said...)
			delete(r.output, t)
		}
	}
}

// conclude says what was skipped, what failed, and how much there was.
func (r *report) conclude(took time.Duration, requireAll bool) {
	verdict := "ok"
	if len(r.failed) > 0 || requireAll && len(r.skipped) > 0 {
		verdict = "FAILED"
	}
	r.printSkipped(requireAll)
	for i, t := range r.failed {
		if i == 0 {
			r.print("\nfailed:\n")
		}
		r.print("  " + t.String() + "\n")
	}
	r.print(fmt.Sprintf("\n%s: %d passed, %d failed, %d skipped in %d packages, %s\n",
		verdict, r.passed, len(r.failed), len(r.skipped), r.packages, took.Round(time.Second)))
}

// printSkipped lists what was skipped by the reason, since one thing that is missing usually stops many tests.
func (r *report) printSkipped(requireAll bool) {
	const shown = 5
	if len(r.skipped) == 0 {
		return
	}
	if requireAll {
		r.print("\nskipped, which REQUIRE_ALL=1 forbids:\n")
	} else {
		r.print("\nskipped:\n")
	}
	byReason := make(map[string][]string)
	for _, s := range r.skipped {
		byReason[s.reason] = append(byReason[s.reason], s.String())
	}
	for _, reason := range slices.Sorted(maps.Keys(byReason)) {
		tests := byReason[reason]
		slices.Sort(tests)
		r.print(fmt.Sprintf("  %s\n    %s", reason, strings.Join(tests[:min(shown, len(tests))], ", ")))
		if more := len(tests) - shown; more > 0 {
			r.print(fmt.Sprintf(" and %d more", more))
		}
		r.print("\n")
	}
}

func (r *report) print(lines ...string) {
	for _, line := range lines {
		_, _ = io.WriteString(r.out, line) // nobody may be reading
	}
}

// position is what t.Skip and t.Log put before a text.
var position = regexp.MustCompile(`^\s*[^\s:]+\.go:\d+: `)

// reason is what a skipped test said last.
func reason(said []string) string {
	for _, line := range slices.Backward(said) {
		if position.MatchString(line) {
			return strings.TrimSpace(position.ReplaceAllString(line, ""))
		}
	}
	return "no reason given"
}
