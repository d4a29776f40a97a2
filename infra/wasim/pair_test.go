package wasim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// shown connects an unpaired client and returns the QRs that it shows.
func (b *bundle) shown(t *testing.T) (*client, []string) {
	t.Helper()
	c := b.newClient(t)
	require.NoError(t, c.Connect())
	return c, await[*events.QR](t, c, nil).Codes
}

func TestScanLinksACompanion(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c, codes := b.shown(t)
	require.Len(t, codes, 6)

	linked, err := b.Scan(t.Context(), anna, codes[2])
	require.NoError(t, err)
	require.Equal(t, uint16(1), linked.Device)
	paired := await[*events.PairSuccess](t, c, nil)
	require.Equal(t, linked.JID, paired.ID.String())
	require.Equal(t, linked.LID, paired.LID.String())
	require.Equal(t, "whatsmeow", linked.Platform)
	await[*events.Connected](t, c, nil)

	phone, err := b.Phone(anna)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1)
	require.True(t, phone.Companions[0].Connected)
	require.Equal(t, types.NewJID(phone.LID, types.HiddenUserServer), c.Store.LID.ToNonAD())

	_, err = b.Scan(t.Context(), anna, codes[3])
	require.ErrorIs(t, err, wasim.ErrConflict, "the other QRs are used up with it")
	b.noneUnhandled(t)
}

func TestScanUnderstandsBaileys(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c, codes := b.shown(t)
	_, err := b.Scan(t.Context(), anna, "https://wa.me/settings/linked_devices#"+codes[0]+",1")
	require.NoError(t, err)
	await[*events.Connected](t, c, nil)
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	_, codes := b.shown(t)
	parts := strings.Split(codes[0], ",")
	other := strings.Join([]string{parts[0], parts[2], parts[1], parts[3]}, ",")
	for name, scan := range map[string]struct {
		phone, qr string
		want      error
	}{
		"keys of another companion": {anna, other, wasim.ErrInvalid},
		"no QR":                     {anna, "hello", wasim.ErrInvalid},
		"unknown phone":             {boris, codes[0], wasim.ErrNotFound},
		"unknown reference":         {anna, "2@nobody," + strings.Join(parts[1:], ","), wasim.ErrConflict},
	} {
		_, err := b.Scan(t.Context(), scan.phone, scan.qr)
		require.ErrorIs(t, err, scan.want, name)
	}
}

func TestCompanionMayDecline(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	c, codes := b.shown(t)
	c.PrePairCallback = func(types.JID, string, string) bool { return false }
	_, err := b.Scan(t.Context(), anna, codes[0])
	require.ErrorIs(t, err, wasim.ErrConflict)
	phone, err := b.Phone(anna)
	require.NoError(t, err)
	require.Empty(t, phone.Companions)
}

func TestPairingConnectionEnds(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{PairingTimeout: 50 * time.Millisecond})
	_, _ = b.shown(t)
	require.Eventually(t, func() bool { return b.Stats().Connections.Open == 0 }, patience, time.Millisecond)
}

func TestEnterCodeLinksACompanion(t *testing.T) {
	t.Parallel()
	for name, spell := range map[string]func(code string) string{
		"as shown":         func(code string) string { return code },
		"without a dash":   func(code string) string { return strings.ReplaceAll(code, "-", "") },
		"in small letters": strings.ToLower,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, wasim.Options{})
			b.phone(t, anna, "Anna")
			c, _ := b.shown(t)
			code, err := c.PairPhone(t.Context(), "+"+anna, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
			require.NoError(t, err)
			linked, err := b.EnterCode(t.Context(), anna, spell(code))
			require.NoError(t, err)
			require.Equal(t, uint16(1), linked.Device)
			await[*events.Connected](t, c, nil)
			b.noneUnhandled(t)
		})
	}
}

func TestEnterCodeRefuses(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	_, err := b.EnterCode(t.Context(), anna, "ABCD-EFGH")
	require.ErrorIs(t, err, wasim.ErrConflict, "nobody waits for a code")

	c, _ := b.shown(t)
	_, err = c.PairPhone(t.Context(), boris, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	require.ErrorIs(t, err, whatsmeow.ErrIQNotFound, "there is no such phone")
	code, err := c.PairPhone(t.Context(), anna, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	require.NoError(t, err)
	_, err = b.EnterCode(t.Context(), anna, "O000-0000")
	require.ErrorIs(t, err, wasim.ErrInvalid, "these letters are in no code")
	wrong := "1" + code[1:]
	if wrong == code {
		wrong = "2" + code[1:]
	}
	_, err = b.EnterCode(t.Context(), anna, wrong)
	require.Error(t, err)
}

func TestCompanionsAreNumbered(t *testing.T) {
	t.Parallel()
	b := start(t, wasim.Options{})
	b.phone(t, anna, "Anna")
	first, second := b.pair(t, anna), b.pair(t, anna)
	require.Equal(t, uint16(1), first.Store.ID.Device)
	require.Equal(t, uint16(2), second.Store.ID.Device)
	require.NoError(t, b.Unlink(t.Context(), anna, 1))
	third := b.pair(t, anna)
	require.Equal(t, uint16(3), third.Store.ID.Device, "a number is not used again soon")
}
