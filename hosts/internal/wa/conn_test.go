package wa

import (
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/actor"
)

// When the query for keys fails, whatsmeow would send to nobody and call it a success. It warns first; if a
// newer version warns in other words, this test fails.
func TestASendWithoutKeysIsEnded(t *testing.T) {
	t.Parallel()
	jid := types.NewJID("79000000001", types.DefaultUserServer)
	c := newConn(&store.Device{ID: &jid}, &ways{http.DefaultClient, http.DefaultClient}, nil, actor.Handlers{}, slog.New(slog.DiscardHandler))
	ctx, release := c.abortable(t.Context())
	defer release()

	c.watch("Failed to fetch prekey for %s: %v") // one device without a bundle is left out, as it must be
	require.NoError(t, ctx.Err())

	peer := types.NewJID("79001111111", types.DefaultUserServer)
	require.Nil(t, c.client.DangerousInternals().FetchPreKeysNoError(ctx, []types.JID{peer})) // not connected
	require.ErrorIs(t, context.Cause(ctx), errPreKeys)
}

func TestAWarningBetweenSendsIsOnlyAWarning(t *testing.T) {
	t.Parallel()
	c := &Conn{}
	c.watch(warnPreKeys)
	ctx, release := c.abortable(t.Context())
	require.NoError(t, ctx.Err())
	release()
	require.ErrorIs(t, ctx.Err(), context.Canceled)
}
