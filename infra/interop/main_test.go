package interop

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.mau.fi/whatsmeow"
	"go.uber.org/goleak"

	"wafleet/infra/wasim"
)

// patience is how long a test waits for something that takes a second or two.
const patience = 30 * time.Second

// whatsapp stands in for WhatsApp in every test: whatsmeow's trust in a server is a global of the process, so there is
// one. Tests keep apart by their phones.
var whatsapp *wasim.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	var err error
	if whatsapp, err = wasim.New(wasim.Options{}); err == nil {
		err = whatsapp.Start(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "start simulator:", err)
		return 1
	}
	whatsmeow.WACertPubKey = whatsapp.NoiseRoot()
	code := m.Run()
	if err := whatsapp.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop simulator:", err)
		return 1
	}
	// whatsmeow blocks for ever on a frame that comes while a connection is being closed.
	leakedPump := goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).readPump")
	if err := goleak.Find(leakedPump); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
