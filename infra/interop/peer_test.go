package interop

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// peer is a companion of an account that runs Baileys, in a process of its own.
type peer struct {
	number  string
	authDir string
	ca      string // the file that TLS is told to trust

	history *history[told] // of this process
	past    []told         // of those before
	stdin   io.WriteCloser
	exited  chan struct{} // closed when the process has ended and err is set
	err     error
	sent    int // commands
}

// newPeer makes a phone and starts a Baileys that is not paired with it yet.
func newPeer(t *testing.T, number, name string) *peer {
	t.Helper()
	needNode(t)
	addPhone(t, number, name)
	p := &peer{number: number, authDir: t.TempDir(), ca: filepath.Join(t.TempDir(), "ca.pem")}
	require.NoError(t, os.WriteFile(p.ca, whatsapp.RootCA(), 0o600))
	p.start(t)
	t.Cleanup(func() { p.stop(t) })
	return p
}

// restart ends the process, lets the test do something, and logs in with a new process.
func (p *peer) restart(t *testing.T, meanwhile func()) {
	t.Helper()
	p.do(t, "close", nil)
	p.stop(t)
	all, _ := p.history.snapshot()
	p.past = append(p.past, all...)
	meanwhile()
	p.start(t)
	p.do(t, "open", nil)
	p.event(t, "open")
}

// do gives a command and returns what came of it.
func (p *peer) do(t *testing.T, command string, args map[string]any) json.RawMessage {
	t.Helper()
	p.sent++
	id := p.sent
	encoded, err := json.Marshal(map[string]any{"id": id, "do": command, "with": args})
	require.NoError(t, err)
	_, err = p.stdin.Write(append(encoded, '\n'))
	require.NoError(t, err)
	answer := p.history.await(t, "answer to "+command, func(l told) bool { return l.Answer == id })
	require.Empty(t, answer.Error, command)
	return answer.Result
}

// send gives a command that sends a message and returns its id.
func (p *peer) send(t *testing.T, command string, args map[string]any) (id string) {
	t.Helper()
	require.NoError(t, json.Unmarshal(p.do(t, command, args), &id))
	return id
}

func (p *peer) event(t *testing.T, name string) told {
	t.Helper()
	return p.history.await(t, "event "+name, func(l told) bool { return l.Event == name })
}

func (p *peer) message(t *testing.T, id string) told {
	t.Helper()
	return p.history.await(t, "message "+id, func(l told) bool { return l.Event == "message" && l.ID == id })
}

func (p *peer) status(t *testing.T, id, status string) {
	t.Helper()
	p.history.await(t, status+" of "+id, func(l told) bool { return l.Event == "status" && l.ID == id && l.Status == status })
}

// told returns everything that happened under a name, also before restarts.
func (p *peer) told(name string) []told {
	all, _ := p.history.snapshot()
	var found []told
	for _, line := range slices.Concat(p.past, all) {
		if line.Event == name {
			found = append(found, line)
		}
	}
	return found
}

// pairByQR links Baileys by its first QR.
func (p *peer) pairByQR(t *testing.T) {
	t.Helper()
	p.do(t, "open", nil)
	_, err := whatsapp.Scan(t.Context(), p.number, p.event(t, "qr").QR)
	require.NoError(t, err)
	p.event(t, "open")
}

// pairByCode links Baileys by a code, which it can ask for once it has shown a QR.
func (p *peer) pairByCode(t *testing.T) {
	t.Helper()
	p.do(t, "open", nil)
	p.event(t, "qr")
	var code string
	require.NoError(t, json.Unmarshal(p.do(t, "requestCode", map[string]any{"phone": p.number}), &code))
	// Baileys shows the code as soon as it has asked the server, without an answer.
	require.Eventually(t, func() bool {
		_, err := whatsapp.EnterCode(t.Context(), p.number, code)
		return err == nil
	}, patience, 50*time.Millisecond, "the code is not accepted")
	p.event(t, "open")
}
