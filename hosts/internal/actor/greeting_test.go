package actor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

// A person's first message is answered once, over restarts of the host. Groups and the company's own phone are not.
func TestAFirstMessageIsGreeted(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE companies SET whatsapp_config = '{"greetingMessage": "Welcome!"}'`)
	require.NoError(t, err)
	c := b.online(t)

	group := incoming("G", "to all")
	group.Chat = message.Contact{Group: "120363000000000000@g.us"}
	require.NoError(t, c.Receive(t.Context(), group))
	own := incoming("O", "from the company's phone")
	own.FromMe = true
	require.NoError(t, c.Receive(t.Context(), own))
	call := incoming("R", "")
	call.Said = message.Said{Kind: message.Call, Call: &message.Ring{}}
	require.NoError(t, c.Receive(t.Context(), call))
	require.Never(t, func() bool { return len(b.frames) > 0 }, 100*time.Millisecond, 5*time.Millisecond)

	for _, id := range []string{"A", "B", "A"} {
		require.NoError(t, c.Receive(t.Context(), incoming(id, "hello "+id)))
	}
	sent := b.AwaitFrames(t, 1)[0]
	require.Equal(t, "79001111111", sent.Phone)
	require.Equal(t, "wire:Welcome!", string(sent.Wire))
	b.awaitStatus(t, sent.ID, message.Sent)

	require.NoError(t, b.fleet.Stop(t.Context()))
	b.own(t, quick)
	c = b.AwaitDial(t)
	c.Signal(connected())
	require.NoError(t, c.Receive(t.Context(), incoming("C", "hello again")))
	require.Never(t, func() bool { return len(b.frames) > 0 }, 100*time.Millisecond, 5*time.Millisecond)
}
