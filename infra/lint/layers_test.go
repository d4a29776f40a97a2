//go:build lintselftest

package lint

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files of the copy, each with one import. Those in broken have to be reported, those in kept must not.
var (
	broken = []file{
		{"migrations/a.go", "github.com/jackc/pgx/v5"},
		{"migrations/b.go", "wafleet/shared/store"},
		{"shared/company/a.go", "github.com/google/uuid"},
		{"shared/session/a.go", "wafleet/shared/store"},
		{"shared/message/a.go", "go.uber.org/multierr"},
		{"shared/phone/a.go", "wafleet/shared/problem"},
		{"shared/store/a.go", "wafleet/functions/app"},
		{"shared/store/b.go", "wafleet/hosts/app"},
		{"shared/store/c.go", "wafleet/infra/wasim"},
		{"shared/store/d_test.go", "wafleet/infra/wasim"},
		{"shared/store/e.go", "wafleet/shared/store/pgtest"},
		{"shared/store/f.go", "testing"},
		{"shared/store/g.go", "github.com/stretchr/testify/require"},
		{"shared/store/h_test.go", "github.com/stretchr/testify/assert"},
		{"shared/store/i_test.go", "github.com/stretchr/testify/mock"},
		{"shared/store/j.go", "github.com/alicebob/miniredis/v2"},
		{"shared/store/k.go", "go.mau.fi/whatsmeow"},
		{"shared/store/l.go", "github.com/aws/aws-lambda-go/lambda"},
		{"shared/store/m.go", "github.com/lib/pq"},
		{"shared/store/n.go", "math/rand"},
		{"shared/store/o.go", "log"},
		{"functions/app/a.go", "wafleet/hosts/app"},
		{"functions/app/b.go", "wafleet/infra/local"},
		{"functions/app/c.go", "go.mau.fi/whatsmeow/types"},
		{"functions/app/d_test.go", "wafleet/hosts/app"},
		{"hosts/cmd/connhost/a.go", "wafleet/hosts/internal/actor"},
		{"hosts/cmd/connhost/b.go", "wafleet/functions/app"},
		{"hosts/app/b.go", "wafleet/infra/wasim"},
		{"hosts/app/c.go", "go.mau.fi/whatsmeow"},
		{"hosts/app/d.go", "github.com/aws/aws-lambda-go/events"},
		{"hosts/app/e_test.go", "wafleet/functions/app"},
		{"hosts/internal/shard/a.go", "wafleet/hosts/app"},
		{"hosts/internal/shard/b.go", "wafleet/hosts/internal/ingest"},
		{"hosts/internal/shard/c.go", "wafleet/hosts/internal/wa"},
		{"hosts/internal/ingest/a.go", "wafleet/hosts/internal/shard"},
		{"hosts/internal/ingest/b.go", "wafleet/hosts/internal/admin"},
		{"hosts/internal/admin/a.go", "wafleet/hosts/internal/devicestore"},
		{"hosts/internal/admin/b.go", "wafleet/hosts/app"},
		{"hosts/internal/actor/a.go", "wafleet/hosts/internal/shard"},
		{"hosts/internal/actor/b.go", "wafleet/hosts/internal/ingest"},
		{"hosts/internal/actor/c.go", "wafleet/hosts/internal/wa"},
		{"hosts/internal/actor/d.go", "wafleet/hosts/internal/devicestore"},
		{"hosts/internal/actor/e.go", "go.mau.fi/whatsmeow/types"},
		{"hosts/internal/wa/a.go", "wafleet/hosts/internal/shard"},
		{"hosts/internal/devicestore/a.go", "wafleet/hosts/app"},
		{"infra/wasim/a.go", "wafleet/hosts/app"},
		{"infra/wasim/b.go", "go.mau.fi/whatsmeow"},
		{"infra/wasim/c.go", "go.mau.fi/whatsmeow/store"},
		{"infra/chaos/a.go", "wafleet/functions/app"},
		{"infra/internal/rig/a.go", "wafleet/functions/app"},
		{"infra/internal/parts/a.go", "wafleet/hosts/app"},
		{"infra/bench/b_test.go", "wafleet/hosts/app"},
		{"infra/local/a.go", "go.mau.fi/whatsmeow"},
		{"infra/local/b.go", "github.com/aws/aws-lambda-go/lambda"},
	}
	kept = []file{
		{"shared/company/x.go", "hash/fnv"},
		{"shared/session/x.go", "wafleet/shared/company"},
		{"shared/message/x_test.go", "github.com/stretchr/testify/require"},
		{"shared/store/x.go", "github.com/jackc/pgx/v5"},
		{"shared/store/y.go", "wafleet/migrations"},
		{"shared/store/z.go", "math/rand/v2"},
		{"shared/store/pgtest/x.go", "github.com/stretchr/testify/require"},
		{"shared/store/x_test.go", "wafleet/shared/store/pgtest"},
		{"shared/store/y_test.go", "github.com/alicebob/miniredis/v2"},
		{"functions/app/x.go", "wafleet/shared/store"},
		{"functions/messages/x.go", "github.com/aws/aws-lambda-go/lambda"},
		{"hosts/cmd/connhost/x.go", "wafleet/hosts/app"},
		{"hosts/app/x.go", "wafleet/hosts/internal/wa"},
		{"hosts/app/y.go", "wafleet/hosts/internal/shard"},
		{"hosts/app/x_test.go", "wafleet/infra/wasim"},
		{"hosts/app/y_test.go", "go.mau.fi/whatsmeow"},
		{"hosts/internal/shard/x.go", "wafleet/hosts/internal/actor"},
		{"hosts/internal/ingest/x.go", "wafleet/hosts/internal/actor"},
		{"hosts/internal/actor/x.go", "wafleet/shared/store"},
		{"hosts/internal/wa/x.go", "wafleet/hosts/internal/actor"},
		{"hosts/internal/wa/y.go", "wafleet/hosts/internal/devicestore"},
		{"hosts/internal/wa/z.go", "go.mau.fi/whatsmeow"},
		{"hosts/internal/devicestore/x.go", "go.mau.fi/whatsmeow/store"},
		{"infra/local/x.go", "wafleet/functions/app"},
		{"infra/local/y.go", "wafleet/hosts/app"},
		{"infra/local/z.go", "github.com/alicebob/miniredis/v2"},
		{"infra/cli/x.go", "wafleet/hosts/app"},
		{"infra/wasim/x.go", "go.mau.fi/whatsmeow/binary"},
		{"infra/wasim/x_test.go", "go.mau.fi/whatsmeow"},
		{"infra/bench/x.go", "go.mau.fi/whatsmeow"},
		{"infra/internal/parts/x.go", "wafleet/functions/app"},
	}
)

// statements are single statements, by whether they have to be reported.
var (
	brokenStatements = map[string]string{
		"infra/local/s1.go":      `_ = os.Getenv("HOME")`,
		"infra/local/s2.go":      `os.Exit(1)`,
		"infra/local/s3.go":      `time.Sleep(time.Second)`,
		"infra/local/s4_test.go": `time.Sleep(time.Second)`,
		"infra/local/s5.go":      `fmt.Println("done")`,
		"infra/local/s6.go":      `slog.InfoContext(ctx, "the default logger")`,
		"infra/local/s7.go":      `slog.New(slog.DiscardHandler).InfoContext(ctx, "key case", "companyId", 1)`,
		"infra/local/s8.go":      `slog.New(slog.DiscardHandler).InfoContext(ctx, "attribute", slog.Int("n", 1))`,
		"infra/local/s9.go":      `slog.New(slog.DiscardHandler).InfoContext(ctx, fmt.Sprint("not static"))`,
		"infra/local/s10.go":     `slog.New(slog.DiscardHandler).Info("no context")`,
	}
	keptStatements = map[string]string{
		"infra/cmd/wafleet/main.go": `os.Exit(len(os.Getenv("HOME")))`,
		"shared/config/t1.go":       `_ = os.Environ()`,
		"infra/local/t2_test.go":    `_ = os.Getenv("TEST_DATABASE_URL")`,
		"infra/local/t4_test.go":    `os.Exit(0)`,
		"infra/local/t3.go":         `slog.New(slog.DiscardHandler).InfoContext(ctx, "good", "company_id", 1)`,
	}
)

// file is a Go file with one import.
type file struct{ path, imports string }

func TestEveryRuleBites(t *testing.T) {
	t.Parallel()
	linter := os.Getenv("GOLANGCI_LINT")
	require.NotEmpty(t, linter, "make lint/selftest says where the linter is")
	dir := t.TempDir()
	config, err := os.ReadFile("../../.golangci.yml")
	require.NoError(t, err)
	write(t, dir, ".golangci.yml", string(config))
	want := writeFiles(t, dir)

	// The version of Go that the linter was built with has to know the copy's.
	cmd := exec.CommandContext(t.Context(), linter, "run", "--enable-only", "depguard,forbidigo,sloglint",
		"--output.json.path", "stdout", "--output.text.path", "stderr", "--show-stats=false", "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOLANGCI_LINT_CACHE="+t.TempDir())
	var notes strings.Builder
	cmd.Stderr = &notes
	out, err := cmd.Output()
	require.Error(t, err, "the linter found nothing")
	reported := parse(t, out, notes.String())

	for name := range want {
		if _, ok := reported[name]; !ok {
			t.Errorf("%s breaks a rule and was not reported", name)
		}
		delete(reported, name)
	}
	for name, text := range reported {
		t.Errorf("%s breaks no rule and was reported: %s", name, text)
	}
}

// writeFiles makes the copy and returns the files that have to be reported. All of it is one module, so that the packages
// can be made up; the rules look at paths only.
func writeFiles(t *testing.T, dir string) map[string]bool {
	t.Helper()
	want := make(map[string]bool)
	imported := make(map[string]bool)
	for _, f := range slices.Concat(broken, kept) {
		if strings.HasPrefix(f.imports, "wafleet/") {
			f.imports += "/leaf" // a rule is for all that is below, and a leaf makes no import cycles
		}
		write(t, dir, f.path, fmt.Sprintf("package %s\n\nimport _ %q\n", packageOf(f.path), f.imports))
		imported[f.imports] = true
	}
	for _, f := range broken {
		want[f.path] = true
	}
	for _, statements := range []map[string]string{brokenStatements, keptStatements} {
		for name, statement := range statements {
			write(t, dir, name, withImports(packageOf(name), statement))
		}
	}
	for name := range brokenStatements {
		want[name] = true
	}
	writeModules(t, dir, slices.Sorted(maps.Keys(imported)))
	return want
}

// writeModules makes every package that is imported, so that the copy compiles without the real ones. Each library is a
// module of its own, with the import path for a name.
func writeModules(t *testing.T, dir string, imports []string) {
	t.Helper()
	mod := "module wafleet\n\ngo 1.26\n"
	for _, name := range imports {
		inside, ours := strings.CutPrefix(name, "wafleet/")
		switch domain, _, _ := strings.Cut(name, "/"); {
		case ours:
			write(t, dir, inside+"/stub.go", "package "+path.Base(inside)+"\n")
		case strings.Contains(domain, "."):
			write(t, dir, "libraries/"+name+"/go.mod", "module "+name+"\n")
			write(t, dir, "libraries/"+name+"/stub.go", "package stub\n")
			mod += fmt.Sprintf("\nrequire %[1]s %[2]s\nreplace %[1]s => ./libraries/%[1]s\n", name, versionOf(name))
		}
	}
	write(t, dir, "go.mod", mod)
}

// versionOf is a version that a module of that name may have.
func versionOf(module string) string {
	if major := path.Base(module); len(major) == 2 && major[0] == 'v' {
		return major + ".0.0"
	}
	return "v0.0.0"
}

// packageOf names a package after its folder; the folder of a main is a main.
func packageOf(name string) string {
	folder := path.Dir(name)
	if strings.Contains(folder, "/cmd/") {
		return "main"
	}
	return path.Base(folder)
}

// withImports makes a file of a statement, with the imports that it needs.
func withImports(pkg, statement string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "package %s\n\n", pkg)
	b.WriteString("import \"context\"\n")
	for _, name := range []string{"fmt", "log/slog", "os", "time"} {
		if strings.Contains(statement, path.Base(name)+".") {
			fmt.Fprintf(&b, "import %q\n", name)
		}
	}
	fmt.Fprintf(&b, "\nfunc _(ctx context.Context) { %s }\n", statement)
	return b.String()
}

// parse returns the files that were reported. A report of the type checker means that the copy itself is broken.
func parse(t *testing.T, out []byte, notes string) map[string]string {
	t.Helper()
	var result struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	require.NoError(t, json.Unmarshal(out, &result), "%s\n%s", out, notes)
	reported := make(map[string]string)
	for _, issue := range result.Issues {
		require.NotEqual(t, "typecheck", issue.FromLinter, issue.Text)
		reported[issue.Pos.Filename] = issue.Text
	}
	return reported
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	target := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(target), 0o755))
	require.NoError(t, os.WriteFile(target, []byte(content), 0o600))
}
