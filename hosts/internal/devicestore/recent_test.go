package devicestore

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"go.mau.fi/whatsmeow/types"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	r := recent[string, int]{limit: 2}
	r.put("a", 1)
	r.put("b", 2)
	r.put("a", 3) // replaced, and the last one used
	r.put("c", 4)
	_, ok := r.get("b")
	require.False(t, ok, "the one that was not used for longest goes")
	got, ok := r.get("a")
	require.True(t, ok)
	require.Equal(t, 3, got)
	r.put("d", 5)
	_, ok = r.get("c")
	require.False(t, ok, "reading counts as a use")
	r.forget("a")
	_, ok = r.get("a")
	require.False(t, ok)
	r.clear()
	_, ok = r.get("d")
	require.False(t, ok)
}

// What a device remembers does not grow with its peers.
func TestWhatADeviceRemembersIsBounded(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	paired := pair(t, p, testJID, testLID)
	d := paired.Sessions.(*device)
	for i := range 3 * maxLIDs {
		pn, lid := types.NewJID(strconv.Itoa(79_100_000_000+i), types.DefaultUserServer), types.NewJID(strconv.Itoa(i), types.HiddenUserServer)
		_, err := paired.LIDs.GetLIDForPN(t.Context(), pn)
		require.NoError(t, err)
		_, err = paired.PrivacyTokens.GetPrivacyToken(t.Context(), pn)
		require.NoError(t, err)
		_, err = paired.LIDs.GetPNForLID(t.Context(), lid)
		require.NoError(t, err)
	}
	require.Len(t, d.lids.byPN.entries, maxLIDs)
	require.Len(t, d.lids.byLID.entries, maxLIDs)
	require.Len(t, d.tokens.entries, d.tokens.limit)
}

// Nothing is remembered that has changed: a token that comes, and an address under which it can be found.
func TestATokenThatWasMissingIsFound(t *testing.T) {
	t.Parallel()
	p, traced := openStore(t)
	device := pair(t, p, testJID, testLID)
	pn, lid := mustJID("79001000002@s.whatsapp.net"), mustJID("1002@lid")
	token := func() bool {
		found, err := device.PrivacyTokens.GetPrivacyToken(t.Context(), pn)
		require.NoError(t, err)
		return found != nil
	}
	require.False(t, token())
	traced.take()
	require.False(t, token())
	require.Empty(t, traced.take(), "asked once")

	fill(t, device) // the token of the LID
	require.False(t, token())
	require.NoError(t, device.LIDs.PutLIDMapping(t.Context(), lid, pn))
	require.True(t, token())
}
