package app_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"wafleet/infra/wasim"
)

// whatsapp stands in for WhatsApp in every test of the package: whatsmeow's trust in a server is a global
// of the process, so there is one. Tests keep apart by using numbers of their own.
var whatsapp *wasim.Server

// leakedPump is whatsmeow's: a frame that arrives while its socket is closed finds nobody who takes it, and the read
// pump waits for ever (socket/framesocket.go, frameComplete).
var leakedPump = goleak.IgnoreAnyFunction("go.mau.fi/whatsmeow/socket.(*FrameSocket).readPump")

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

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
	code := m.Run()
	if err := whatsapp.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "stop simulator:", err)
		return 1
	}
	if err := goleak.Find(leakedPump); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
