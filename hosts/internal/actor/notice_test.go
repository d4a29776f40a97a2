package actor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/session"
)

// A Redis that is away for a moment costs the moment: what was to be shown meanwhile is shown then, with the time that it
// has left, and counts once.
func TestACodeIsShownWhenRedisIsBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		want  func(t *testing.T, b *bundle)
		shown func(t *testing.T, b *bundle) (code string, until time.Time, err error)
		code  string
	}{
		"qr": {
			want: func(t *testing.T, b *bundle) { t.Helper(); b.want(t, session.DesiredRunning) },
			shown: func(t *testing.T, b *bundle) (string, time.Time, error) {
				t.Helper()
				qr, err := b.board.QR(t.Context(), company)
				return qr.Code, qr.ExpiresAt, err
			},
			code: "qr-1",
		},
		"pairing code": {
			want: func(t *testing.T, b *bundle) { t.Helper(); b.want(t, session.DesiredRunning, byCode("79000000001")) },
			shown: func(t *testing.T, b *bundle) (string, time.Time, error) {
				t.Helper()
				code, err := b.board.PairingCode(t.Context(), company)
				return code.Code, code.ExpiresAt, err
			},
			code: "ABCD-EFGH",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			tc.want(t, b)
			c := b.AwaitDial(t)
			b.redis.SetError("LOADING")
			begun := time.Now()
			c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"qr-1", "qr-2"}})
			require.Eventually(t, func() bool { return b.log.count("publish code") >= 3 }, await, time.Millisecond)
			b.redis.SetError("")
			var code string
			var until time.Time
			require.Eventually(t, func() (ok bool) {
				var err error
				code, until, err = tc.shown(t, b)
				return err == nil
			}, await, time.Millisecond)
			require.Equal(t, tc.code, code)
			require.WithinRange(t, until, begun, time.Now().Add(time.Minute))
			told := 0
			for _, event := range b.events(t) {
				if event == "session.qr" || event == "session.pairing_code" {
					told++
				}
			}
			require.Equal(t, 1, told)
		})
	}
}

// What belongs to a socket that is gone is not shown any more, whenever Redis comes back.
func TestACodeOfTheLastSocketIsNotShown(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.want(t, session.DesiredRunning)
	c := b.AwaitDial(t)
	b.redis.SetError("LOADING")
	c.Signal(actor.Signal{Then: actor.ShowQR, Codes: []string{"old"}})
	require.Eventually(t, func() bool { return b.log.count("publish code") >= 1 }, await, time.Millisecond)
	b.want(t, session.DesiredStopped)
	b.awaitState(t, session.Stopped)
	tries := b.log.count("publish code")
	b.redis.SetError("")
	require.Never(t, func() bool {
		_, err := b.board.QR(t.Context(), company)
		return err == nil
	}, 300*time.Millisecond, 10*time.Millisecond)
	require.Equal(t, tries, b.log.count("publish code"))
}
