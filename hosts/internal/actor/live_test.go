package actor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
	"wafleet/shared/session"
)

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
