package wa

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	waBinary "go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim"
	"wafleet/shared/rpc"
)

func TestWhoIsOnWhatsApp(t *testing.T) {
	t.Parallel()
	l, anna, boris, nobody := paired(t), newPhone(t), newPhone(t), newNumber()
	found, err := l.CheckContacts(t.Context(), []string{nobody, boris, anna, boris})
	require.NoError(t, err)
	require.Len(t, found, 4)
	require.Equal(t, rpc.ContactFound{Phone: nobody}, found[0])
	for i, phone := range map[int]string{1: boris, 2: anna, 3: boris} {
		require.True(t, found[i].Exists)
		require.Equal(t, phone, found[i].Phone)
		require.Equal(t, phone+"@s.whatsapp.net", found[i].JID)
		require.Regexp(t, `^\d+@lid$`, found[i].LID)
	}
	require.NotEqual(t, found[1].LID, found[2].LID)
}

// Without a login nothing is asked; what WhatsApp does not answer ends with the context.
func TestContactsThatCannotBeChecked(t *testing.T) {
	t.Parallel()
	l, anna := paired(t), newPhone(t)
	l.fault(t, wasim.Deaf)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := l.CheckContacts(ctx, []string{anna})
	require.ErrorIs(t, err, context.Canceled)
	l.hang()
	_, err = l.CheckContacts(t.Context(), []string{anna})
	require.Error(t, err)
	_, err = newLine(t).CheckContacts(t.Context(), []string{anna})
	require.ErrorIs(t, err, whatsmeow.ErrNotLoggedIn)
}

// Answers are WhatsApp's to shape: what is missing or strange is nobody, not a panic.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	jid := types.NewJID("5511987654321", types.DefaultUserServer)
	contact := func(kind string, content any) waBinary.Node {
		return waBinary.Node{Tag: "contact", Attrs: waBinary.Attrs{"type": kind}, Content: content}
	}
	for name, tc := range map[string]struct {
		node waBinary.Node
		want rpc.ContactFound
		ok   bool
	}{
		"another form of the number": {
			waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}, Content: []waBinary.Node{contact("in", []byte("+551187654321@c.us"))}},
			rpc.ContactFound{Phone: "551187654321", Exists: true, JID: "5511987654321@s.whatsapp.net"},
			true,
		},
		"no address":     {waBinary.Node{Tag: "user", Content: []waBinary.Node{contact("in", []byte("+7900"))}}, rpc.ContactFound{Phone: "7900"}, true},
		"invalid":        {waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}, Content: []waBinary.Node{contact("invalid", []byte("+7900"))}}, rpc.ContactFound{Phone: "7900"}, true},
		"no number":      {waBinary.Node{Tag: "user", Attrs: waBinary.Attrs{"jid": jid}, Content: []waBinary.Node{contact("in", nil)}}, rpc.ContactFound{}, false},
		"nothing":        {waBinary.Node{Tag: "user"}, rpc.ContactFound{}, false},
		"something else": {waBinary.Node{Tag: "result", Content: []waBinary.Node{contact("in", []byte("+7900"))}}, rpc.ContactFound{Phone: "7900"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := contactFound(tc.node)
			require.Equal(t, tc.ok, ok)
			require.Equal(t, tc.want, got)
		})
	}
}
