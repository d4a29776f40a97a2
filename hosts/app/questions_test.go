package app_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
	"wafleet/shared/rpc"
)

// owner is who holds the company's shard now.
func (c *tenant) owner(t *testing.T) rpc.Owner {
	t.Helper()
	row, err := c.store.Queries().GetOwner(t.Context(), c.store.Pool(), c.id)
	require.NoError(t, err)
	if row.Term == nil {
		return rpc.Owner{Shard: row.Shard}
	}
	return rpc.Owner{Shard: row.Shard, Term: *row.Term}
}

func (c *tenant) ask(t *testing.T, owner rpc.Owner, kind string, phones ...string) (found []rpc.ContactFound, err error) {
	t.Helper()
	body, err := json.Marshal(rpc.ContactsAsked{Phones: phones})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	return found, rpc.NewCaller(c.redis).Ask(ctx, owner, rpc.Question{Kind: kind, CompanyID: c.id, Body: body}, &found)
}

// A live question finds the host that holds the company's shard, whichever that is, and WhatsApp behind it.
func TestLiveQuestions(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	first := in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	require.Eventually(t, func() bool {
		_, err := c.ask(t, c.owner(t), rpc.CheckContacts, anna)
		return errors.Is(err, rpc.ErrOffline)
	}, await, 10*time.Millisecond, "not linked")
	c.pair(t)
	stranger := newNumber()
	found, err := c.ask(t, c.owner(t), rpc.CheckContacts, anna, stranger)
	require.NoError(t, err)
	require.True(t, found[0].Exists)
	require.NotEmpty(t, found[0].LID)
	require.Equal(t, rpc.ContactFound{Phone: stranger}, found[1])
	_, err = c.ask(t, c.owner(t), "the time")
	require.ErrorIs(t, err, rpc.ErrUnknown)

	old := c.owner(t)
	require.NoError(t, first.Stop(t.Context()))
	_, err = c.ask(t, old, rpc.CheckContacts, anna)
	require.ErrorIs(t, err, rpc.ErrNoAnswer)
	in.host(t)
	require.Eventually(t, func() bool {
		found, err = c.ask(t, c.owner(t), rpc.CheckContacts, anna)
		return err == nil && found[0].Exists
	}, await, 10*time.Millisecond)
	_, err = c.ask(t, old, rpc.CheckContacts, anna)
	require.ErrorIs(t, err, rpc.ErrNoAnswer, "an earlier term has no owner any more")
}
