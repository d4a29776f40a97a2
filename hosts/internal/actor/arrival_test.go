package actor

import (
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

// The id of an arrival is fixed by its dedup key and by nothing else: redelivered it is the same message,
// and no two messages share one.
func TestArrivalIDs(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	type key struct {
		company, chat, sender, id, digest string
		fromMe                            bool
	}
	known := make(map[key]uuid.UUID)
	taken := make(map[uuid.UUID]key)
	for range 5000 {
		a := &Actor{companyID: pick("a", "b")}
		in := Incoming{
			Chat:        message.Contact{Phone: pick("", "1", "11"), LID: pick("", "1", "2")},
			Sender:      message.Contact{Phone: pick("1", "11"), LID: pick("", "1", "3"), Name: pick("Anna", "Boris", "")},
			FromMe:      random.IntN(2) == 0,
			WAMessageID: pick("A", "B", "AB"),
			Digest:      []byte(pick("x", "y", "xy")),
			Said:        message.Said{Kind: message.Text, Text: pick("one", "two")},
		}
		got, err := a.arrival(t.Context(), in)
		require.NoError(t, err)
		require.NotEqual(t, got.ID, got.Placeholder)
		k := key{a.companyID, address(in.Chat), address(in.Sender), in.WAMessageID, string(in.Digest), in.FromMe}
		if before, redelivered := known[k]; redelivered {
			require.Equal(t, before, got.ID, "%+v", k)
		}
		if other, clash := taken[got.ID]; clash {
			require.Equal(t, other, k, "two messages under one id")
		}
		known[k], taken[got.ID] = got.ID, k
	}
	require.Greater(t, len(known), 200)
}

// Stored ids depend on how they are made: this one must never change.
func TestArrivalIDsOutliveTheirBuild(t *testing.T) {
	t.Parallel()
	a := &Actor{companyID: "salon"}
	got, err := a.arrival(t.Context(), Incoming{
		WAMessageID: "ABCD", Chat: message.Contact{Phone: "79001111111", LID: "2002"},
		Sender: message.Contact{Phone: "79001111111", LID: "2002"}, Digest: []byte{1, 2, 3},
	})
	require.NoError(t, err)
	require.Equal(t, uuid.NewSHA1(incomingSpace, []byte("salon|2002|2002|false|ABCD|010203")), got.ID)
	require.Equal(t, uuid.NewSHA1(incomingSpace, []byte("salon|2002|2002|false|ABCD|undecryptable")), got.Placeholder)
	require.Equal(t, "2002", got.Chat)
	require.Equal(t, "79001111111", got.Phone)
}

// A chat is the same chat whichever of its two addresses a message came under, once the LID is known.
func TestAddress(t *testing.T) {
	t.Parallel()
	require.Equal(t, "2002", address(message.Contact{Phone: "79001111111", LID: "2002"}))
	require.Equal(t, "2002", address(message.Contact{LID: "2002"}))
	require.Equal(t, "79001111111", address(message.Contact{Phone: "79001111111"}))
	require.Equal(t, "1@g.us", address(message.Contact{Group: "1@g.us"}))
	require.Empty(t, address(message.Contact{Name: "Anna"}))
}
