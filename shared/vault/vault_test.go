package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/vault"
)

// keyring is the table of wrapped keys.
type keyring struct {
	mu      sync.Mutex
	wrapped map[string][]byte
	reads   int
}

func (k *keyring) WrappedKey(_ context.Context, companyID string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.reads++
	if w, ok := k.wrapped[companyID]; ok {
		return w, nil
	}
	return nil, vault.ErrNoKey
}

func newVault(t *testing.T, companies ...string) (*vault.Vault, *keyring) {
	t.Helper()
	local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
	require.NoError(t, err)
	ring := &keyring{wrapped: map[string][]byte{}}
	v := vault.New(local, ring)
	for _, id := range companies {
		ring.wrapped[id], err = v.CreateKey(t.Context(), id)
		require.NoError(t, err)
	}
	return v, ring
}

func TestSealedTextOpensOnlyInItsPlace(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	v, _ := newVault(t, "a", "b")
	sealed, err := v.Seal(ctx, "a", "messages.body|1", []byte("hello"))
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "hello")

	text, err := v.Open(ctx, "a", "messages.body|1", sealed)
	require.NoError(t, err)
	require.Equal(t, "hello", string(text))

	for name, open := range map[string]func() ([]byte, error){
		"another company": func() ([]byte, error) { return v.Open(ctx, "b", "messages.body|1", sealed) },
		"another place":   func() ([]byte, error) { return v.Open(ctx, "a", "messages.body|2", sealed) },
		"cut short":       func() ([]byte, error) { return v.Open(ctx, "a", "messages.body|1", sealed[:20]) },
		"nothing":         func() ([]byte, error) { return v.Open(ctx, "a", "messages.body|1", nil) },
		"another version": func() ([]byte, error) {
			return v.Open(ctx, "a", "messages.body|1", append([]byte{9}, sealed[1:]...))
		},
	} {
		_, err := open()
		require.ErrorIs(t, err, vault.ErrCannotOpen, name)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		_, err := v.Open(ctx, "a", "messages.body|1", broken)
		require.ErrorIs(t, err, vault.ErrCannotOpen, "byte %d", i)
	}
}

func TestNoTwoSealsAreEqual(t *testing.T) {
	t.Parallel()
	v, _ := newVault(t, "a")
	one, err := v.Seal(t.Context(), "a", "p", []byte("x"))
	require.NoError(t, err)
	two, err := v.Seal(t.Context(), "a", "p", []byte("x"))
	require.NoError(t, err)
	require.NotEqual(t, one, two)
}

func TestACompanyWithoutKey(t *testing.T) {
	t.Parallel()
	v, _ := newVault(t)
	_, err := v.Seal(t.Context(), "ghost", "p", []byte("x"))
	require.ErrorIs(t, err, vault.ErrNoKey)
}

func TestForgottenKeyIsReadAgain(t *testing.T) {
	t.Parallel()
	v, ring := newVault(t, "a")
	for range 3 {
		_, err := v.Seal(t.Context(), "a", "p", []byte("x"))
		require.NoError(t, err)
	}
	require.Equal(t, 1, ring.reads)
	v.Forget("a")
	delete(ring.wrapped, "a") // shredded
	_, err := v.Seal(t.Context(), "a", "p", []byte("x"))
	require.ErrorIs(t, err, vault.ErrNoKey)
}

func TestWrongMasterKeyNamesBoth(t *testing.T) {
	t.Parallel()
	_, ring := newVault(t, "a")
	other, err := vault.NewLocal(bytes.Repeat([]byte{8}, vault.KeySize))
	require.NoError(t, err)
	_, err = vault.New(other, ring).Seal(t.Context(), "a", "p", []byte("x"))
	require.ErrorIs(t, err, vault.ErrWrongMasterKey)
	require.ErrorContains(t, err, other.KeyID())
}

func TestWrappedKeyDoesNotServeAnotherCompany(t *testing.T) {
	t.Parallel()
	v, ring := newVault(t, "a")
	ring.wrapped["b"] = ring.wrapped["a"]
	_, err := v.Seal(t.Context(), "b", "p", []byte("x"))
	require.ErrorIs(t, err, vault.ErrCannotOpen)
}

func TestMasterKeySize(t *testing.T) {
	t.Parallel()
	_, err := vault.NewLocal(make([]byte, 16))
	require.ErrorContains(t, err, "32 bytes")
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v, _ := newVault(t, "a", "b", "c")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			id := []string{"a", "b", "c"}[i%3]
			text := []byte(rand.Text())
			for n := range 50 {
				place := fmt.Sprint(i, n)
				sealed, err := v.Seal(t.Context(), id, place, text)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := v.Open(t.Context(), id, place, sealed)
				if err != nil || !bytes.Equal(got, text) {
					t.Errorf("round trip: %v", err)
				}
				v.Forget(id)
			}
		})
	}
	wg.Wait()
}

func TestAHintSparesTheLook(t *testing.T) {
	t.Parallel()
	v, ring := newVault(t, "a", "b")
	v.Hint("a", ring.wrapped["a"])
	v.Hint("b", nil)
	sealed, err := v.Seal(t.Context(), "a", "place", []byte("x"))
	require.NoError(t, err)
	require.Zero(t, ring.reads)
	_, err = v.Seal(t.Context(), "b", "place", nil)
	require.NoError(t, err)
	require.Equal(t, 1, ring.reads, "nothing is no hint")

	v.Hint("a", []byte("garbage"))
	_, err = v.Open(t.Context(), "a", "place", sealed)
	require.NoError(t, err, "a key that is open stays")
	v.Hint("c", ring.wrapped["a"])
	_, err = v.Seal(t.Context(), "c", "place", nil)
	require.ErrorIs(t, err, vault.ErrCannotOpen, "a key of another company")
	v.Forget("c")
	_, err = v.Seal(t.Context(), "c", "place", nil)
	require.ErrorIs(t, err, vault.ErrNoKey, "forgotten with the key")
}

// A key in memory is not believed for ever: the company may be gone, and another one may have its id.
func TestAKeyInMemoryIsCheckedNowAndThen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		v, ring := newVault(t, "a")
		old, err := v.Seal(ctx, "a", "place", []byte("old"))
		require.NoError(t, err)
		require.Equal(t, 1, ring.reads)
		<-time.After(59 * time.Second)
		_, err = v.Open(ctx, "a", "place", old)
		require.NoError(t, err)
		require.Equal(t, 1, ring.reads, "trusted for a minute")
		<-time.After(time.Second)
		for range 3 {
			_, err = v.Open(ctx, "a", "place", old)
			require.NoError(t, err)
		}
		require.Equal(t, 2, ring.reads, "asked once, and trusted again")

		ring.wrapped["a"], err = v.CreateKey(ctx, "a") // another company of the same id
		require.NoError(t, err)
		<-time.After(time.Minute)
		_, err = v.Open(ctx, "a", "place", old)
		require.ErrorIs(t, err, vault.ErrCannotOpen)
		fresh, err := v.Seal(ctx, "a", "place", []byte("fresh"))
		require.NoError(t, err)
		local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
		require.NoError(t, err)
		text, err := vault.New(local, ring).Open(ctx, "a", "place", fresh)
		require.NoError(t, err, "every process can open it")
		require.Equal(t, "fresh", string(text))

		delete(ring.wrapped, "a")
		<-time.After(time.Minute)
		_, err = v.Open(ctx, "a", "place", fresh)
		require.ErrorIs(t, err, vault.ErrNoKey)
		_, err = v.Seal(ctx, "a", "place", nil)
		require.ErrorIs(t, err, vault.ErrNoKey)
	})
}

// Without an answer the key is used on: who needs nothing but the key must not be stopped by an outage.
func TestAnOutageLeavesTheKeysInMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, ring := newVault(t, "a")
		silent := &silentKeys{keyring: ring}
		local, err := vault.NewLocal(bytes.Repeat([]byte{7}, vault.KeySize))
		require.NoError(t, err)
		v := vault.New(local, silent)
		sealed, err := v.Seal(t.Context(), "a", "place", []byte("text"))
		require.NoError(t, err)
		silent.silent = true
		<-time.After(time.Minute)
		started := time.Now()
		_, err = v.Open(t.Context(), "a", "place", sealed)
		require.NoError(t, err)
		require.Less(t, time.Since(started), 3*time.Second)
	})
}

// silentKeys is a table of keys that may not answer.
type silentKeys struct {
	*keyring

	silent bool
}

func (k *silentKeys) WrappedKey(ctx context.Context, companyID string) ([]byte, error) {
	if k.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return k.keyring.WrappedKey(ctx, companyID)
}
