package wa

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"sync"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"wafleet/infra/wasim"
)

var (
	// whatsapp stands in for WhatsApp in every test of the package: whatsmeow's trust in a server is a global of
	// the process, so there is one. Tests keep apart by using numbers of their own.
	whatsapp *wasim.Server
	// shared is the process's dialer; each test gives it a device store.
	shared *Dialer
	// logged is every line that the tests made this package log.
	logged logBook
)

type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logBook) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// personal is what must not be in a log: numbers, JIDs, keys.
var personal = regexp.MustCompile(`\d{9,}|@s\.whatsapp\.net|@lid|[0-9a-fA-F]{32,}`)

// leakedPump is whatsmeow's: a frame that arrives while its socket is closed finds nobody who takes it, and the read
// pump waits for ever (socket/framesocket.go, frameComplete).
var leakedPump = goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).readPump")

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	if err := startWhatsApp(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start simulator:", err)
		return 1
	}
	code := m.Run()
	shared.ways.media.CloseIdleConnections()
	if err := whatsapp.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop simulator:", err)
		return 1
	}
	if err := goleak.Find(leakedPump); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for line := range bytes.Lines(logged.text.Bytes()) {
		if personal.Match(line) {
			fmt.Fprintf(os.Stderr, "a log line tells too much: %s", line)
			return 1
		}
	}
	return code
}

func startWhatsApp(ctx context.Context) (err error) {
	if whatsapp, err = wasim.New(wasim.Options{}); err != nil {
		return err
	}
	if err = whatsapp.Start(ctx); err != nil {
		return err
	}
	root := whatsapp.NoiseRoot()
	whatsmeow.KeepAliveResponseDeadline = 2 * time.Second // as short as a busy machine allows
	shared, err = NewDialer(nil, Config{
		Endpoint: whatsapp.Endpoint(), RootCA: whatsapp.RootCA(), NoiseRoot: &root, HealthInterval: 3 * time.Second,
	}, slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime})))
	return err
}

// withoutTime drops what looks like a number and is none.
func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
