package actor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

// awaitAnswers waits until the company can be asked, which is a moment after its state says that it is connected.
func (b *bundle) awaitAnswers(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := b.fleet.CheckContacts(t.Context(), company, nil)
		return err == nil
	}, await, time.Millisecond)
}

func TestWhatAChatIsShown(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	read, typing := rpc.ReadMark{Chat: "1@lid", Sender: "1@lid", WAMessageID: "3A"}, rpc.Typing{Chat: "1@lid", State: rpc.Composing}
	require.ErrorIs(t, b.fleet.MarkRead(t.Context(), company, read), rpc.ErrOffline)
	require.ErrorIs(t, b.fleet.ShowTyping(t.Context(), company, typing), rpc.ErrOffline)

	c := b.online(t)
	b.awaitAnswers(t)
	require.NoError(t, b.fleet.MarkRead(t.Context(), company, read))
	require.NoError(t, b.fleet.ShowTyping(t.Context(), company, typing))
	b.set(func(s *script) { require.Equal(t, []any{read, typing}, s.shown) })

	c.companyID = "refused"
	require.ErrorIs(t, b.fleet.MarkRead(t.Context(), company, read), rpc.ErrWhatsApp)
	require.ErrorIs(t, b.fleet.ShowTyping(t.Context(), company, typing), rpc.ErrWhatsApp)
	c.companyID = company
}

// Only a company that is connected here can be asked.
func TestCheckContactsNeedsAConnection(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	ask := func() ([]rpc.ContactFound, error) {
		return b.fleet.CheckContacts(t.Context(), company, []string{"79001111111"})
	}
	_, err := ask()
	require.ErrorIs(t, err, rpc.ErrOffline, "never started")
	_, err = b.fleet.CheckContacts(t.Context(), "somebody", nil)
	require.ErrorIs(t, err, rpc.ErrOffline, "not here")

	c := b.online(t)
	b.awaitAnswers(t)
	found, err := ask()
	require.NoError(t, err)
	require.Equal(t, []rpc.ContactFound{{Phone: "79001111111", Exists: true, JID: "79001111111@s.whatsapp.net"}}, found)

	c.companyID = "refused"
	_, err = ask()
	require.ErrorIs(t, err, rpc.ErrWhatsApp)
	c.companyID = company

	b.want(t, session.DesiredStopped)
	b.awaitState(t, session.Stopped)
	_, err = ask()
	require.ErrorIs(t, err, rpc.ErrOffline)
}
