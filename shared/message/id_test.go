package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

func TestIDs(t *testing.T) {
	t.Parallel()
	ids := message.NewIDs([]byte("0123456789abcdef0123456789abcdef"))

	t.Run("a key fixes the id", func(t *testing.T) {
		t.Parallel()
		// Stored with every message of every installation: a change here would break idempotency.
		require.Equal(t, "3EB0D6344A51B8059E7FF4", ids.For("a", "order-1"))
	})
	t.Run("companies, keys and installations do not share ids", func(t *testing.T) {
		t.Parallel()
		other := message.NewIDs([]byte("another secret, of another fleet"))
		seen := map[string]bool{
			ids.For("a", "1"): true, ids.For("b", "1"): true, ids.For("a", "2"): true,
			ids.For("a1", ""): true, ids.For("", "a1"): true, other.For("a", "1"): true,
		}
		require.Len(t, seen, 6)
	})
	t.Run("the form is WhatsApp's", func(t *testing.T) {
		t.Parallel()
		require.Regexp(t, `^3EB0[0-9A-F]{18}$`, ids.For("a", "1"))
		require.Regexp(t, `^3EB0[0-9A-F]{18}$`, ids.New("a"))
	})
	t.Run("without a key every id is new", func(t *testing.T) {
		t.Parallel()
		first, second := ids.New("a"), ids.New("a")
		require.NotEqual(t, first, second)
	})
}
