package wa

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// A version of whatsmeow without the map fails here, so that somebody looks whether trim is still of use.
func TestTrim(t *testing.T) {
	t.Parallel()
	client := whatsmeow.NewClient(&store.Device{}, nil)
	require.True(t, trim(client))
	require.True(t, trim(client), "an empty map is as good as a new one")
}

// Trimmed clients hold less, and keep what they sent last.
func TestTrimmedClients(t *testing.T) { //nolint:paralleltest // it looks at the heap of the process
	const clients = 64
	size := func(build func() *whatsmeow.Client) uint64 {
		var before, after runtime.MemStats
		held := make([]*whatsmeow.Client, clients)
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range held {
			held[i] = build()
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(held)
		return (after.HeapAlloc - min(before.HeapAlloc, after.HeapAlloc)) / clients
	}
	stock := func() *whatsmeow.Client { return whatsmeow.NewClient(&store.Device{}, nil) }
	full := size(stock)
	less := size(func() *whatsmeow.Client {
		client := stock()
		trim(client)
		return client
	})
	require.Less(t, less, full*2/3, "%d and %d bytes a client", less, full)

	client := stock()
	require.True(t, trim(client))
	to := types.NewJID("79001111111", types.DefaultUserServer)
	client.DangerousInternals().AddRecentMessage(to, "3EB0", nil, nil)
	require.False(t, trim(client), "what is in use stays")
}
