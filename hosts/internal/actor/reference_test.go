package actor_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// told returns the latest event of a company, as customers read it.
func (b *bundle) told(t *testing.T) (kind string, told message.Incoming) {
	t.Helper()
	rows, err := b.store.Queries().ListEvents(t.Context(), b.store.Pool(), db.ListEventsParams{CompanyID: company, PageSize: 1000})
	require.NoError(t, err)
	last := rows[len(rows)-1]
	data, err := b.vault.Open(t.Context(), company, store.EventContext(last.ID), last.Data)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &told))
	return last.Type, told
}

func (b *bundle) said(t *testing.T, messageID string) message.Said {
	t.Helper()
	row := b.message(t, messageID)
	plain, err := b.vault.Open(t.Context(), company, message.BodyContext(messageID), row.Body)
	require.NoError(t, err)
	said, err := message.DecodeSaid(plain)
	require.NoError(t, err)
	return said
}

// about is a message about another one of the same chat.
func about(id string, said message.Said, target string, fromMe bool) actor.Incoming {
	in := incoming(id, id)
	said.Target = &message.Reference{WAMessageID: target, FromMe: fromMe}
	in.Said = said
	return in
}

// Whatever refers to a message names it by the id that this company knows it by, and an edit or a revoke of the sender's
// own changes it.
func TestReferences(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	sent := b.accept(t, "79001111111", "our offer")
	b.awaitStatus(t, sent, message.Sent)
	receive := func(in actor.Incoming) message.Incoming {
		require.NoError(t, c.Receive(t.Context(), in))
		_, told := b.told(t)
		return told
	}
	first := receive(incoming("A", "helo"))

	reply := incoming("B", "yes")
	reply.Said.ReplyTo = &message.Reference{WAMessageID: sent, FromMe: true, Text: "our offer"}
	require.Equal(t, sent, receive(reply).ReplyTo.MessageID)
	reply = incoming("C", "no")
	reply.Said.ReplyTo = &message.Reference{WAMessageID: "A"}
	require.Equal(t, first.MessageID, receive(reply).ReplyTo.MessageID)

	require.Equal(t, sent, receive(about("D", message.Said{Kind: message.Reaction, Text: "👍"}, sent, true)).Target.MessageID)
	require.Empty(t, receive(about("E", message.Said{Kind: message.Reaction, Text: "👍"}, "unknown", true)).Target.MessageID)

	edited := receive(about("F", message.Said{Kind: message.Edit, Text: "hello"}, "A", false))
	require.Equal(t, first.MessageID, edited.Target.MessageID)
	require.NotEqual(t, first.MessageID, edited.MessageID)
	receive(about("G", message.Said{Kind: message.Edit, Text: "hello!"}, "A", false))
	require.Equal(t, message.Said{Kind: message.Text, Text: "hello!", Original: "helo"}, b.said(t, first.MessageID))

	kind, _ := b.told(t)
	require.Equal(t, "message.edited", kind)
	receive(about("H", message.Said{Kind: message.Revoke}, "A", false))
	kind, _ = b.told(t)
	require.Equal(t, "message.revoked", kind)
	require.Contains(t, string(b.message(t, first.MessageID).Trace), "revoked")
}

// Only whoever wrote a message can change it; in a group its admins may take it back.
func TestForgeries(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	group := message.Contact{Group: "120363000000000001@g.us"}
	in := func(id string, said message.Said, target string) actor.Incoming {
		in := about(id, said, target, false)
		if target == "" {
			in.Said.Target = nil
		}
		in.Chat = group
		return in
	}
	require.NoError(t, c.Receive(t.Context(), in("A", message.Said{Kind: message.Text, Text: "mine"}, "")))
	_, first := b.told(t)
	forged := in("B", message.Said{Kind: message.Edit, Text: "forged"}, "A")
	forged.Sender = message.Contact{LID: "666"}
	require.NoError(t, c.Receive(t.Context(), forged))
	elsewhere := about("C", message.Said{Kind: message.Edit, Text: "forged"}, "A", false) // the same id in another chat
	require.NoError(t, c.Receive(t.Context(), elsewhere))
	_, told := b.told(t)
	require.Empty(t, told.Target.MessageID)
	require.Equal(t, "mine", b.said(t, first.MessageID).Text)
	require.NotContains(t, string(b.message(t, first.MessageID).Trace), "edited")

	admins := in("D", message.Said{Kind: message.Revoke}, "A")
	admins.Sender = message.Contact{LID: "777"}
	require.NoError(t, c.Receive(t.Context(), admins))
	require.Contains(t, string(b.message(t, first.MessageID).Trace), "revoked")
}

// A vote comes as hashes; the poll that it is about has the names.
func TestVotesAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	poll := incoming("A", "")
	poll.Said = message.Said{Kind: message.Poll, Text: "When?", Poll: &message.Ballot{Question: "When?", Options: []string{"now", "later"}}}
	require.NoError(t, c.Receive(t.Context(), poll))
	hash := func(option string) string {
		sum := sha256.Sum256([]byte(option))
		return hex.EncodeToString(sum[:])
	}
	vote := message.Said{Kind: message.Vote, Vote: &message.Ticks{Hashes: []string{hash("later"), hash("never")}}}
	require.NoError(t, c.Receive(t.Context(), about("B", vote, "A", false)))
	kind, told := b.told(t)
	require.Equal(t, "message.received", kind)
	require.Equal(t, &message.Ticks{Options: []string{"later"}, Hashes: []string{hash("never")}}, told.Vote)
	require.NotEmpty(t, told.Target.MessageID)
}

// A message about one whose content is damaged is stored all the same: it would come again for ever.
func TestADamagedTargetHoldsNothingUp(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	require.NoError(t, c.Receive(t.Context(), incoming("A", "hi")))
	_, err := b.store.Pool().Exec(t.Context(), `UPDATE messages SET body = 'garbage'`)
	require.NoError(t, err)
	require.NoError(t, c.Receive(t.Context(), about("B", message.Said{Kind: message.Edit, Text: "ho"}, "A", false)))
	kind, _ := b.told(t)
	require.Equal(t, "message.edited", kind)
}

// The placeholder of a message that cannot be decrypted is told of, and so is what becomes of it, under one id.
func TestPlaceholders(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	c := b.online(t)
	placeholder := incoming("A", "")
	placeholder.Said, placeholder.Digest = message.Said{Kind: message.Undecryptable, Reason: "waiting_for_sender"}, nil
	require.NoError(t, c.Receive(t.Context(), placeholder))
	_, first := b.told(t)
	require.Equal(t, message.Undecryptable, first.Kind)
	require.NoError(t, c.Receive(t.Context(), incoming("A", "now readable")))
	_, second := b.told(t)
	require.Equal(t, first.MessageID, second.MessageID)
	require.Equal(t, "now readable", second.Text)

	require.NoError(t, c.Receive(t.Context(), incoming("B", "readable at once")))
	before := b.events(t)
	late := placeholder
	late.WAMessageID = "B"
	require.NoError(t, c.Receive(t.Context(), late))
	silent := incoming("C", "")
	silent.Silent = true
	require.NoError(t, c.Receive(t.Context(), silent))
	require.Equal(t, before, b.events(t))
}
