package interop

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// told is a line that peer.mjs writes: an event, or the answer to a command.
type told struct {
	Event string `json:"event"`

	Answer int             `json:"answer"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`

	QR       string         `json:"qr"`
	JID      string         `json:"jid"`
	LID      string         `json:"lid"`
	ID       string         `json:"id"`
	From     string         `json:"from"`
	FromAlt  string         `json:"fromAlt"`
	Name     string         `json:"name"`
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	MimeType string         `json:"mimeType"`
	SHA256   string         `json:"sha256"`
	Status   string         `json:"status"`
	Code     int            `json:"code"`
	Level    string         `json:"level"`
	Tag      string         `json:"tag"`
	Attrs    map[string]any `json:"attrs"`

	line string
}

func (l told) String() string { return l.line }

// needNode skips the test where Baileys cannot run.
func needNode(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("node")
	reason := "no node on this machine, install Node.js 20 or newer"
	if err == nil {
		_, err = os.Stat(filepath.Join("node_modules", "baileys"))
		reason = "Baileys is not installed: run `make test`, or `npm ci` in infra/interop"
	}
	if err == nil {
		return
	}
	if os.Getenv("REQUIRE_ALL") == "1" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// start begins a process with the credentials that the one before has kept.
func (p *peer) start(t *testing.T) {
	t.Helper()
	setup, err := json.Marshal(map[string]any{"root": whatsapp.Root(), "authDir": p.authDir})
	require.NoError(t, err)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "node", "peer.mjs", string(setup))
	cmd.Env = append(os.Environ(), "NODE_EXTRA_CA_CERTS="+p.ca)
	cmd.WaitDelay = patience
	var stderr strings.Builder
	cmd.Stderr = &stderr
	p.stdin, err = cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p.history, p.exited = newHistory[told](), make(chan struct{})
	go func() {
		defer close(p.exited)
		read := p.read(stdout)
		if err := cmd.Wait(); err != nil || read != nil {
			p.err = errors.Join(err, read, errors.New(stderr.String()))
		}
	}()
}

// read takes what the process writes until it ends.
func (p *peer) read(stdout io.Reader) error {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		line := told{line: lines.Text()}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return err
		}
		p.history.add(line)
	}
	return lines.Err()
}

// stop lets the process end by itself.
func (p *peer) stop(t *testing.T) {
	t.Helper()
	_ = p.stdin.Close() // It may have ended already.
	select {
	case <-p.exited:
		require.NoError(t, p.err)
	case <-time.After(patience):
		t.Error("Baileys does not end")
	}
}
