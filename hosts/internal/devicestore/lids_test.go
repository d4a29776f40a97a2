package devicestore

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

// What a company was told is nobody else's.
func TestLIDsAreOfOneCompany(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	device, other := pair(t, p, testJID, testLID), pair(t, p, "79001000009:1@s.whatsapp.net", "1009:1@lid")
	require.NoError(t, device.LIDs.PutLIDMapping(t.Context(), mustJID("1002@lid"), mustJID("79001000002@s.whatsapp.net")))
	for name, d := range map[string]*store.Device{"of the other": other, "of the other, restarted": load(t, p, "79001000009:1@s.whatsapp.net")} {
		lid, err := d.LIDs.GetLIDForPN(t.Context(), mustJID("79001000002@s.whatsapp.net"))
		require.NoError(t, err)
		require.True(t, lid.IsEmpty(), name)
	}
}

// A number that moves to another LID leaves the old one, and the other way round. Stock's cache goes on with the old pair.
func TestANumberThatMoves(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	device := pair(t, p, testJID, testLID)
	lidOne, lidTwo := mustJID("1002@lid"), mustJID("1003@lid")
	pnOne, pnTwo := mustJID("79001000002@s.whatsapp.net"), mustJID("79001000003@s.whatsapp.net")
	look := func(when string, wantLID, wantPN types.JID) {
		for _, d := range []*store.Device{device, load(t, p, testJID)} { // as remembered, and as stored
			lid, err := d.LIDs.GetLIDForPN(t.Context(), pnOne)
			require.NoError(t, err)
			require.Equal(t, wantLID, lid, when)
			pn, err := d.LIDs.GetPNForLID(t.Context(), lidOne)
			require.NoError(t, err)
			require.Equal(t, wantPN, pn, when)
		}
	}
	look("at first", types.EmptyJID, types.EmptyJID)
	put := func(pairs ...store.LIDMapping) {
		require.NoError(t, device.LIDs.PutManyLIDMappings(t.Context(), pairs))
	}
	put(store.LIDMapping{LID: lidOne, PN: pnOne})
	look("told", lidOne, pnOne)
	put(store.LIDMapping{LID: lidTwo, PN: pnOne})
	look("another lid", lidTwo, types.EmptyJID)
	put(store.LIDMapping{LID: lidOne, PN: pnTwo})
	look("the old lid has another number", lidTwo, pnTwo)
	put(store.LIDMapping{LID: lidOne, PN: pnOne}, store.LIDMapping{LID: lidTwo, PN: pnTwo})
	look("both swapped at once", lidOne, pnOne)
	put(store.LIDMapping{LID: lidTwo, PN: pnOne}, store.LIDMapping{LID: lidOne, PN: pnOne})
	look("the last of what contradicts itself", lidOne, pnOne)
}
