package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// project is a module with a test of each fate.
var project = map[string]string{
	"go.mod":        "module example\n\ngo 1.26\n",
	"a/a.go":        "package a\n",
	"a/a_test.go":   "package a\n\nimport \"testing\"\n\nfunc TestPasses(t *testing.T) {}\n\nfunc TestSkips(t *testing.T) { t.Skip(\"no server: run make\") }\n",
	"b/b_test.go":   "package b\n\nimport \"testing\"\n\nfunc TestFails(t *testing.T) { t.Log(\"why it failed\"); t.Fail() }\n\nfunc TestPasses(t *testing.T) { t.Log(\"of no interest\") }\n",
	"c/c_test.go":   "package c\n\nimport \"testing\"\n\nfunc TestPanics(t *testing.T) { panic(\"out of order\") }\n",
	"d/d_test.go":   "package d\n\nfunc broken( {\n",
	"none/none.go":  "package none\n",
	"e/e_test.go":   "package e\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { os.Exit(3) }\n",
	"f/f_test.go":   "package f\n\nimport \"testing\"\n\nfunc TestSub(t *testing.T) { t.Run(\"one\", func(t *testing.T) { t.SkipNow() }) }\n",
	"a/testdata/.x": "",
}

// runIn runs the command on packages of the project.
func runIn(t *testing.T, requireAll bool, args ...string) (code int, out string) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range project {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	t.Setenv("GOWORK", "off")
	t.Chdir(dir)
	var stdout, stderr strings.Builder
	code = run(t.Context(), append([]string{"go", "test"}, args...), requireAll, &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func TestWhatPassesIsShort(t *testing.T) { //nolint:paralleltest // runIn changes the working folder
	code, out := runIn(t, false, "./a", "./none")
	require.Zero(t, code, out)
	require.Contains(t, out, "ok  \texample/a")
	require.NotContains(t, out, "=== RUN")
	require.NotContains(t, out, "no test files")
	require.Contains(t, out, "no server: run make\n    example/a TestSkips\n")
	require.Regexp(t, `\nok: 1 passed, 0 failed, 1 skipped in 1 packages, \d+s\n$`, out)
}

func TestRequireAllForbidsSkipping(t *testing.T) { //nolint:paralleltest // runIn changes the working folder
	code, out := runIn(t, true, "./a")
	require.Equal(t, 1, code)
	require.Contains(t, out, "REQUIRE_ALL=1 forbids")
	require.Contains(t, out, "\nFAILED: 1 passed")
}

func TestWhatFailsIsShownWithItsOutput(t *testing.T) { //nolint:paralleltest // runIn changes the working folder
	code, out := runIn(t, false, "./...")
	require.Equal(t, 1, code)
	for _, want := range []string{
		"why it failed", "--- FAIL: TestFails", "FAIL\texample/b", // a failed test
		"panic: out of order", "FAIL\texample/c", // a process that died
		"d/d_test.go:3:14", // a package that does not compile
		"example/e\n",      // a package that failed without a test
		"ok  \texample/a",  // the others go on
		"no reason given\n    example/f TestSub/one\n",
		"\nfailed:\n",
		"  example/b TestFails\n",
		"  example/d\n",
	} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "of no interest")
	require.Regexp(t, `\nFAILED: \d+ passed, 4 failed, 2 skipped in \d packages, \d+s\n$`, out)
}

func TestVerboseShowsEverything(t *testing.T) { //nolint:paralleltest // runIn changes the working folder
	_, out := runIn(t, false, "-v", "./b")
	require.Contains(t, out, "=== RUN   TestPasses")
	require.Equal(t, 1, strings.Count(out, "of no interest"))
	require.Equal(t, 1, strings.Count(out, "why it failed"), "not again at the end")
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, args := range [][]string{nil, {"go"}, {"go", "build", "./..."}} {
		require.Equal(t, 2, run(t.Context(), args, false, &out, &out), args)
	}
	require.Contains(t, out.String(), "usage:")
	require.Equal(t, 1, run(t.Context(), []string{"/nowhere/go", "test"}, false, &out, &out))
}

func TestLinesThatAreNoEventsAreShown(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	r := newReport(&out, false)
	require.NoError(t, r.read(strings.NewReader("go: downloading example v1\n{\"Action\":\"output\",\"Output\":\"x\\n\"}\nlast")))
	require.Equal(t, "go: downloading example v1\nlast", out.String())
}

func TestReason(t *testing.T) {
	t.Parallel()
	for want, said := range map[string][]string{
		"no Postgres: run make test": {"=== RUN   TestX\n", "    x_test.go:12: no Postgres: run make test\n", "--- SKIP: TestX (0.00s)\n"},
		"the last one":               {"    x_test.go:1: the first one\n", "        y_test.go:2: the last one\n"},
		"no reason given":            {"=== RUN   TestX\n", "--- SKIP: TestX (0.00s)\n"},
	} {
		require.Equal(t, want, reason(said))
	}
}
