package wasim_test

import (
	"context"
	"fmt"

	"wafleet/infra/wasim"
)

// A phone writes to another one, which has been switched off and gets the message later.
func Example() {
	ctx := context.Background()
	server, err := wasim.New(wasim.Options{})
	if err != nil {
		panic(err)
	}
	if err := server.Start(ctx); err != nil {
		panic(err)
	}
	defer func() { _ = server.Stop(ctx) }()

	off := false
	_, _ = server.AddPhone(ctx, wasim.NewPhone{Phone: "79001234567", Name: "Anna"})
	_, _ = server.AddPhone(ctx, wasim.NewPhone{Phone: "79007654321", Name: "Boris", Online: &off})
	_, _ = server.SendText(ctx, "79001234567", "79007654321", "Are you there?")
	waiting, _ := server.Phone("79007654321")
	fmt.Println(waiting.Waiting, "waiting")

	_ = server.SetOnline(ctx, "79007654321", true)
	message, _ := server.AwaitMessage(ctx, "79007654321", func(wasim.Message) bool { return true })
	fmt.Println(message.From, "wrote:", message.Text)
	// Output:
	// 1 waiting
	// 79001234567 wrote: Are you there?
}
