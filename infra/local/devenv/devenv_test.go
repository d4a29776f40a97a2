package devenv_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devenv"
)

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	t.Parallel()
	file := devenv.File{
		{Name: "WAFLEET_URL", Value: "http://127.0.0.1:3000"},
		{Name: "DATABASE_URL", Value: "postgres://postgres:p%40ss@127.0.0.1:5432/wafleet?sslmode=disable"},
		{Name: "WHATSAPP_ROOT_CA", Value: "/home/anna's files/$HOME/root & more.pem"},
		{Name: "WHATSAPP_ENDPOINT", Value: "sim.example:443", Given: true},
	}
	path := filepath.Join(t.TempDir(), "dev.env")
	require.NoError(t, file.Write(path))

	read, err := devenv.Read(path)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(file, read))

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode())
}

func TestAShellReadsTheSameValues(t *testing.T) {
	t.Parallel()
	value := `it's "a" $HOME \ & | ; * ~ value`
	path := filepath.Join(t.TempDir(), "dev.env")
	require.NoError(t, devenv.File{{Name: "A", Value: value}, {Name: "B", Value: "b?c=d&e"}}.Write(path))

	out, err := exec.CommandContext(t.Context(), "sh", "-c", `. "$1"; printf '%s|%s' "$A" "$B"`, "sh", path).Output()
	require.NoError(t, err)
	require.Equal(t, value+"|b?c=d&e", string(out))
}

func TestPlainValuesStandUnquoted(t *testing.T) {
	t.Parallel()
	file := devenv.File{{Name: "DATABASE_URL", Value: "postgres://u:p@127.0.0.1:1/db?sslmode=disable"}}
	require.Equal(t, "DATABASE_URL=postgres://u:p@127.0.0.1:1/db?sslmode=disable\n", file.String())
}

func TestOwnIsWhatTheInstallationMadeItself(t *testing.T) {
	t.Parallel()
	file := devenv.File{
		{Name: "DATABASE_URL", Value: "postgres://own"},
		{Name: "WHATSAPP_ENDPOINT", Value: "sim.example:443", Given: true},
	}
	require.True(t, file.Own("DATABASE_URL", "postgres://own"), "the shell sourced the file")
	require.False(t, file.Own("DATABASE_URL", "postgres://other"), "the user asks for another one")
	require.False(t, file.Own("WHATSAPP_ENDPOINT", "sim.example:443"), "the user had asked for it before")
	require.False(t, file.Own("REDIS_URL", ""), "not in the file")
	require.Equal(t, "postgres://own", file.Get("DATABASE_URL"))
	require.Empty(t, file.Get("REDIS_URL"))
}

func TestReadWithoutAFile(t *testing.T) {
	t.Parallel()
	file, err := devenv.Read(filepath.Join(t.TempDir(), "dev.env"))
	require.NoError(t, err)
	require.Empty(t, file)

	_, err = devenv.Read(t.TempDir())
	require.ErrorContains(t, err, "read dev.env")
}

func FuzzRoundTrip(f *testing.F) {
	for _, seed := range []string{"", "plain", "it's", "'", "''", `'\''`, "a b", "=", "#", "ключ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, r := range value {
			if r == '\n' || r == '\r' || r == 0 {
				t.Skip("a variable of dev.env has one line")
			}
		}
		path := filepath.Join(t.TempDir(), "dev.env")
		require.NoError(t, devenv.File{{Name: "A", Value: value}}.Write(path))
		read, err := devenv.Read(path)
		require.NoError(t, err)
		require.Equal(t, value, read.Get("A"))
	})
}
