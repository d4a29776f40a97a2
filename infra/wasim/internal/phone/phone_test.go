package phone_test

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/libsignal/keys/identity"
	"go.mau.fi/libsignal/keys/prekey"
	"go.mau.fi/libsignal/util/optional"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/ledger"
	"wafleet/infra/wasim/internal/phone"
)

func newPhone(t testing.TB, number string) *phone.Phone {
	t.Helper()
	p, err := phone.New(number)
	require.NoError(t, err)
	return p
}

// bundle takes the keys of a phone.
func bundle(p *phone.Phone, batch *ledger.Batch) phone.Bundle {
	return func() (*prekey.Bundle, error) {
		signed, fresh := p.SignedPreKey(), p.TakePreKey(batch)
		return prekey.NewBundle(1, 0, optional.NewOptionalUint32(fresh.KeyID), signed.KeyID,
			ecc.NewDjbECPublicKey(*fresh.Pub), ecc.NewDjbECPublicKey(*signed.Pub), *signed.Signature,
			identity.NewKey(ecc.NewDjbECPublicKey(*p.Identity().Pub))), nil
	}
}

// say lets one phone encrypt for another.
func say(t testing.TB, from, to *phone.Phone, batch *ledger.Batch, peer, text string) phone.Ciphertext {
	t.Helper()
	sealed, err := from.Encrypt(t.Context(), batch, peer, []byte(text), bundle(to, batch))
	require.NoError(t, err)
	return sealed
}

func hear(t testing.TB, p *phone.Phone, batch *ledger.Batch, peer string, sealed phone.Ciphertext) string {
	t.Helper()
	plain, err := p.Decrypt(t.Context(), batch, peer, sealed)
	require.NoError(t, err)
	return string(plain)
}

func TestTwoPhonesTalk(t *testing.T) {
	t.Parallel()
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	first := say(t, anna, boris, &batch, "boris", "hello")
	require.Equal(t, phone.KindPreKey, first.Kind)
	require.Equal(t, "hello", hear(t, boris, &batch, "anna", first))
	answer := say(t, boris, anna, &batch, "anna", "hi")
	require.Equal(t, phone.KindMessage, answer.Kind)
	require.Equal(t, "hi", hear(t, anna, &batch, "boris", answer))
	for i := range 20 {
		text := strings.Repeat("x", i)
		require.Equal(t, text, hear(t, boris, &batch, "anna", say(t, anna, boris, &batch, "boris", text)))
	}
}

func TestOutOfOrderAndAgain(t *testing.T) {
	t.Parallel()
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	a := say(t, anna, boris, &batch, "boris", "a")
	b := say(t, anna, boris, &batch, "boris", "b")
	require.Equal(t, "b", hear(t, boris, &batch, "anna", b))
	require.Equal(t, "a", hear(t, boris, &batch, "anna", a))
	_, err := boris.Decrypt(t.Context(), &batch, "anna", a)
	require.ErrorIs(t, err, phone.ErrOldCounter)
}

func TestUndecryptable(t *testing.T) {
	t.Parallel()
	anna, boris, carol := newPhone(t, "1"), newPhone(t, "2"), newPhone(t, "3")
	var batch ledger.Batch
	first := say(t, anna, boris, &batch, "boris", "a")
	hear(t, boris, &batch, "anna", first)
	hear(t, anna, &batch, "boris", say(t, boris, anna, &batch, "anna", "x"))
	good := say(t, anna, boris, &batch, "boris", "b")
	bad := phone.Ciphertext{Kind: good.Kind, Body: append([]byte(nil), good.Body...)}
	bad.Body[len(bad.Body)-1] ^= 1
	for name, sealed := range map[string]phone.Ciphertext{
		"changed":       bad,
		"garbage":       {Kind: phone.KindMessage, Body: []byte("garbage")},
		"empty":         {Kind: phone.KindMessage},
		"empty prekey":  {Kind: phone.KindPreKey},
		"unknown kind":  {Kind: "skmsg", Body: good.Body},
		"kinds swapped": {Kind: phone.KindPreKey, Body: good.Body},
	} {
		_, err := boris.Decrypt(t.Context(), &batch, "anna", sealed)
		require.ErrorIs(t, err, phone.ErrUndecryptable, name)
	}
	_, err := carol.Decrypt(t.Context(), &batch, "anna", good)
	require.ErrorIs(t, err, phone.ErrUndecryptable, "for somebody else")
	_, err = carol.Decrypt(t.Context(), &batch, "anna", first)
	require.ErrorIs(t, err, phone.ErrUndecryptable, "for somebody else")
	require.Equal(t, "b", hear(t, boris, &batch, "anna", good), "failures have moved nothing")
}

func TestNewSessionAfterATrouble(t *testing.T) {
	t.Parallel()
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	hear(t, boris, &batch, "anna", say(t, anna, boris, &batch, "boris", "a"))
	keys, err := bundle(boris, &batch)()
	require.NoError(t, err)
	require.NoError(t, anna.Renew(t.Context(), &batch, "boris", keys))
	again := say(t, anna, boris, &batch, "boris", "b")
	require.Equal(t, phone.KindPreKey, again.Kind)
	require.Equal(t, "b", hear(t, boris, &batch, "anna", again))
	anna.Forget(&batch, "boris")
	require.Equal(t, phone.KindPreKey, say(t, anna, boris, &batch, "boris", "c").Kind)
}

// TestBothBeginAtOnce lets two phones write to each other before either has heard of the other, and goes on with messages
// crossing each other.
func TestBothBeginAtOnce(t *testing.T) {
	t.Parallel()
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	for round := range 10 {
		var toBoris, toAnna []phone.Ciphertext
		for range 3 {
			toBoris = append(toBoris, say(t, anna, boris, &batch, "boris", "x"))
			toAnna = append(toAnna, say(t, boris, anna, &batch, "anna", "y"))
		}
		for i := range 3 {
			require.Equal(t, "x", hear(t, boris, &batch, "anna", toBoris[i]), "round %d", round)
			require.Equal(t, "y", hear(t, anna, &batch, "boris", toAnna[i]), "round %d", round)
		}
	}
}

func TestBundleThatCannotBeHad(t *testing.T) {
	t.Parallel()
	var batch ledger.Batch
	wanted := errors.New("no keys") //nolint:err113 // A test.
	_, err := newPhone(t, "1").Encrypt(t.Context(), &batch, "x", nil, func() (*prekey.Bundle, error) { return nil, wanted })
	require.ErrorIs(t, err, wanted)
}

func TestInbox(t *testing.T) {
	t.Parallel()
	p := newPhone(t, "1")
	var batch ledger.Batch
	keep := func(from, id string) {
		require.NoError(t, p.Keep(&batch, phone.Message{ID: id, From: from, Content: content.Content{Text: from + id}}))
	}
	rows, changed := p.Watch(0)
	require.Empty(t, rows)
	keep("2", "a")
	<-changed
	keep("3", "a")
	keep("2", "a")
	keep("2", "b")
	rows = p.Messages()
	require.Len(t, rows, 4)
	require.Equal(t, []bool{false, false, true, false}, []bool{
		rows[0].Duplicate, rows[1].Duplicate, rows[2].Duplicate, rows[3].Duplicate,
	}, "the same id of another account is another message")
	rows, _ = p.Watch(3)
	require.Len(t, rows, 1)
	rows, _ = p.Watch(100)
	require.Empty(t, rows)
	row, ok := p.Message("3", "a")
	require.True(t, ok)
	require.Equal(t, "3a", row.Text)
	_, ok = p.Message("3", "b")
	require.False(t, ok)
	row, ok = p.Find("b")
	require.True(t, ok)
	require.Equal(t, "2", row.From)
	_, ok = p.Find("c")
	require.False(t, ok)
}

func TestInboxIsBounded(t *testing.T) {
	t.Parallel()
	p := newPhone(t, "1")
	for i := range phone.InboxSize + 5 {
		var batch ledger.Batch
		require.NoError(t, p.Keep(&batch, phone.Message{ID: strconv.Itoa(i), From: "2"}))
	}
	rows := p.Messages()
	require.Len(t, rows, phone.InboxSize)
	require.Equal(t, "5", rows[0].ID)
	_, ok := p.Message("2", "4")
	require.False(t, ok)
	rows, _ = p.Watch(phone.InboxSize + 4)
	require.Len(t, rows, 1, "positions count all that ever came")
}

func TestSent(t *testing.T) {
	t.Parallel()
	p := newPhone(t, "1")
	var batch ledger.Batch
	for i := range phone.SentSize + 1 {
		require.NoError(t, p.Remember(&batch, phone.Sent{ID: strconv.Itoa(i), To: "2"}))
	}
	_, ok := p.Sent("0")
	require.False(t, ok)
	sent, ok := p.Sent("1")
	require.True(t, ok)
	require.Equal(t, "2", sent.To)
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	p := newPhone(t, "1")
	for want := 1; want <= 5; want++ {
		count, again := p.Retry("x")
		require.True(t, again)
		require.Equal(t, want, count)
	}
	_, again := p.Retry("x")
	require.False(t, again)
	_, again = p.Retry("y")
	require.True(t, again)
}

func TestRestore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state")
	buckets := []ledger.Bucket{phone.BucketSessions, phone.BucketPreKeys, phone.BucketRows, phone.BucketSent}
	l, err := ledger.Open(path, buckets...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	hear(t, boris, &batch, "anna", say(t, anna, boris, &batch, "boris", "a"))
	hear(t, anna, &batch, "boris", say(t, boris, anna, &batch, "anna", "b"))
	waiting := say(t, newPhone(t, "3"), boris, &batch, "boris", "from carol")
	require.NoError(t, boris.Keep(&batch, phone.Message{ID: "a", From: "1"}))
	require.NoError(t, boris.Remember(&batch, phone.Sent{ID: "s", To: "1", Body: []byte("body")}))
	require.NoError(t, l.Commit(batch))

	secrets, err := boris.Secrets()
	require.NoError(t, err)
	again, err := phone.Restore("2", secrets)
	require.NoError(t, err)
	for _, bucket := range buckets {
		require.NoError(t, l.Load(bucket, func(key string, value []byte) error {
			name, ok := strings.CutPrefix(key, "2/")
			if !ok {
				return nil
			}
			return again.RestoreRecord(bucket, name, value)
		}))
	}
	require.Equal(t, boris.Registration(), again.Registration())
	require.Equal(t, boris.Messages(), again.Messages())
	require.Equal(t, "c", hear(t, again, &batch, "anna", say(t, anna, boris, &batch, "boris", "c")))
	require.Equal(t, "from carol", hear(t, again, &batch, "carol", waiting), "its one-time key is still there")
	sent, ok := again.Sent("s")
	require.True(t, ok)
	require.Equal(t, []byte("body"), sent.Body)
	require.NoError(t, again.Keep(&batch, phone.Message{ID: "a", From: "1"}))
	require.True(t, again.Messages()[1].Duplicate)
}

func TestRestoreDamaged(t *testing.T) {
	t.Parallel()
	for _, secrets := range []string{"", "{}", `{"identity":"AA=="}`} {
		_, err := phone.Restore("1", []byte(secrets))
		require.Error(t, err)
	}
	p := newPhone(t, "1")
	require.Error(t, p.RestoreRecord("other", "x", nil))
	require.Error(t, p.RestoreRecord(phone.BucketPreKeys, "x", nil))
	require.Error(t, p.RestoreRecord(phone.BucketRows, "x", nil))
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	anna, boris := newPhone(t, "1"), newPhone(t, "2")
	var batch ledger.Batch
	hear(t, boris, &batch, "anna", say(t, anna, boris, &batch, "boris", "hello"))
	var senders sync.WaitGroup
	sealed := make(chan phone.Ciphertext, 100)
	for range 10 {
		senders.Go(func() {
			for range 10 {
				var own ledger.Batch
				one, err := anna.Encrypt(context.Background(), &own, "boris", []byte("x"), bundle(boris, &own))
				if err != nil {
					t.Error(err)
				}
				sealed <- one
			}
		})
	}
	senders.Wait()
	for range 100 {
		require.Equal(t, "x", hear(t, boris, &batch, "anna", <-sealed))
	}
}

func FuzzDecrypt(f *testing.F) {
	anna, boris := newPhone(f, "1"), newPhone(f, "2")
	var batch ledger.Batch
	first := say(f, anna, boris, &batch, "boris", "hello")
	f.Add(true, first.Body)
	f.Add(false, []byte{0x33, 1, 2, 3})
	f.Fuzz(func(t *testing.T, first bool, body []byte) {
		kind := phone.KindMessage
		if first {
			kind = phone.KindPreKey
		}
		var batch ledger.Batch
		_, _ = boris.Decrypt(t.Context(), &batch, "anna", phone.Ciphertext{Kind: kind, Body: body}) // Must not panic.
	})
}
