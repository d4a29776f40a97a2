package config_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/config"
)

var update = flag.Bool("update", false, "write what is generated")

const (
	readme = "../../README.md"
	begin  = "<!-- settings: made by `go test ./shared/config -update` -->\n"
	end    = "<!-- end of settings -->"
)

// The README's table is the structs' own.
func TestReadmeHasTheTable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(text), begin)
	require.True(t, ok, "README has no place for the table")
	table, tail, ok := strings.Cut(rest, end)
	require.True(t, ok, "README's table does not end")
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(head+begin+config.Table()+end+tail), 0o644))
		return
	}
	require.Equal(t, config.Table(), table, "run: go test ./shared/config -update")
}

func TestTable(t *testing.T) {
	t.Parallel()
	table := config.Table()
	for _, want := range []string{
		"| `MAX_RECONNECT_ATTEMPTS` | `10` | serve, connhost |",
		"| `DATABASE_URL` |  | serve, connhost, functions |",
		"| `PORT` | `3000` | serve |",
	} {
		require.Contains(t, table, want)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(table) {
		name := strings.SplitN(line, "|", 3)[1]
		require.False(t, seen[name], "%s stands twice", name)
		seen[name] = true
	}
}
