package devicestore

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestStatements says what work costs in statements, begin and commit counted, for a peer with a phone and a companion.
// What our own store may cost is fixed; stock is measured beside it.
func TestStatements(t *testing.T) {
	t.Parallel()
	for name, opened := range keepers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			costs := measure(t, opened(t))
			t.Logf("%s: %+v", name, costs)
			if name == "ours" {
				require.LessOrEqual(t, costs.pairing, 10, "with the first login and its 812 prekeys")
				require.LessOrEqual(t, costs.login, 1)
				require.LessOrEqual(t, costs.firstSend, 8)
				require.LessOrEqual(t, costs.firstMessage, 6)
				require.LessOrEqual(t, costs.send, 2)
				require.LessOrEqual(t, costs.message, 2)
			}
		})
	}
}

// costs are numbers of statements.
type costs struct{ pairing, login, firstSend, firstMessage, send, message int }

func measure(t *testing.T, k keeper) (c costs) {
	t.Helper()
	k, traced := k.restarted(t)
	us, them := newPhone(t), newPhone(t)
	theirs := link(t, k, them)
	quiet(t, traced, theirs)

	linked := link(t, k, us)
	c.pairing = len(quiet(t, traced, linked, theirs))
	jid := linked.Store.ID.String()
	linked.hangUp(t.Context())

	k, traced = k.restarted(t)
	ours := login(t, k.loaded(t, jid))
	c.login = len(quiet(t, traced, ours, theirs))

	require.NoError(t, sendText(t, ours, them, "first"))
	awaitText(t, theirs, "first")
	c.firstSend = len(quiet(t, traced, ours, theirs))
	require.NoError(t, sendText(t, theirs, us, "first back"))
	awaitText(t, ours, "first back")
	quiet(t, traced, ours, theirs)

	stranger := newPhone(t)
	_, err := whatsApp(t).SendText(t.Context(), stranger, us, "from a stranger")
	require.NoError(t, err)
	awaitText(t, ours, "from a stranger")
	c.firstMessage = len(quiet(t, traced, ours, theirs))

	for _, text := range []string{"once", "twice"} { // the sessions settle
		require.NoError(t, sendText(t, ours, them, text))
		require.NoError(t, sendText(t, theirs, us, text))
		awaitText(t, ours, text)
	}
	quiet(t, traced, ours, theirs)
	require.NoError(t, sendText(t, ours, them, "counted"))
	sent := quiet(t, traced, ours, theirs)
	require.NoError(t, sendText(t, theirs, us, "counted"))
	awaitText(t, ours, "counted")
	got := quiet(t, traced, ours, theirs)
	t.Logf("a send: %s", strings.Join(short(sent), "; "))
	t.Logf("a message: %s", strings.Join(short(got), "; "))
	c.send, c.message = len(sent), len(got)
	return c
}

// quiet returns the statements so far, once WhatsApp has everything acked.
func quiet(t *testing.T, traced *statements, clients ...*client) []string {
	t.Helper()
	for _, c := range clients {
		require.Eventually(t, func() bool { return companionOf(t, c).Waiting == 0 }, patience, tick)
	}
	// Push names: whatsmeow has goroutines for them that nobody waits for. They cost one statement per name and process.
	return slices.DeleteFunc(traced.take(), func(statement string) bool {
		return strings.Contains(statement, "contacts") || strings.Contains(statement, "SET search_path")
	})
}

// short are the names that sqlc gives to statements, or their beginning.
func short(said []string) []string {
	names := make([]string, len(said))
	for i, statement := range said {
		names[i] = statement[:min(len(statement), 40)]
	}
	return names
}
