package wa

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/store"

	"wafleet/hosts/internal/actor"
	"wafleet/hosts/internal/devicestore"
)

// restless steps the sessions of a send between its reading and its storing them, as a decryption does: so many times.
type restless struct {
	store.SessionStore

	times int
}

func (r *restless) PutManySessions(ctx context.Context, sessions map[string][]byte) error {
	if r.times > 0 {
		r.times--
		for address := range sessions {
			if err := r.DeleteSession(context.WithoutCancel(unrelated{ctx}), address); err != nil {
				return err
			}
		}
	}
	return r.SessionStore.PutManySessions(ctx, sessions)
}

// unrelated is a context that does not say for which send it is.
type unrelated struct{ context.Context } //nolint:containedctx // it is one

func (unrelated) Value(any) any { return nil }

// A send whose session somebody else steps is begun anew at once: it must not go back to the outbox, where what is behind
// it in its chat would overtake it.
func TestASteppedSessionDelaysNothing(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0CC01", anna, "first"))
	sessions := &restless{SessionStore: l.client.Store.Sessions, times: maxStale - 1}
	l.client.Store.Sessions = sessions
	require.NoError(t, l.text(t, "3EB0CC02", anna, "second"))
	require.Zero(t, sessions.times, "it was stale that often")
	require.Equal(t, "second", arrived(t, anna, "3EB0CC02").Text)
}

// It has a limit, and what fails by it wrote no frame.
func TestASessionThatIsSteppedAllTheTime(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	require.NoError(t, l.text(t, "3EB0CC03", anna, "first"))
	l.client.Store.Sessions = &restless{SessionStore: l.client.Store.Sessions, times: 1000}
	failed := refusal(t, l.text(t, "3EB0CC04", anna, "second"))
	require.ErrorIs(t, failed, devicestore.ErrStale)
	require.Equal(t, actor.NotWritten, failed.Outcome)
	require.False(t, failed.Final)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, stepAside(ctx, maxStale), "nor does it outlive its context")
}
