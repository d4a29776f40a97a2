// Package mediatest says, for tests, what every media.Store does.
package mediatest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/media"
)

// Run checks a store that has nothing in it.
func Run(t *testing.T, store media.Store) {
	t.Helper()
	t.Run("what is put can be read", func(t *testing.T) {
		t.Parallel()
		for _, size := range []int{0, 1, 3 << 20} {
			body := Bytes(t, size)
			key := "company_1/" + rand.Text()
			require.NoError(t, Put(t.Context(), store, key, body))
			require.Equal(t, body, Get(t, store, key))
			require.Equal(t, body, Get(t, store, key), "and read again")
		}
	})
	t.Run("putting again replaces", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, Put(t.Context(), store, "company_1/again", []byte("first, and longer")))
		require.NoError(t, Put(t.Context(), store, "company_1/again", []byte("second")))
		require.Equal(t, "second", string(Get(t, store, "company_1/again")))
	})
	t.Run("companies do not share", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, Put(t.Context(), store, "a/own", []byte("a")))
		missing(t, store, "b/own")
	})
	t.Run("what is not there", func(t *testing.T) {
		t.Parallel()
		missing(t, store, "company_1/nothing")
		require.NoError(t, store.Delete(t.Context(), "company_1/nothing"))
	})
	t.Run("what is deleted is gone", func(t *testing.T) {
		t.Parallel()
		require.NoError(t, Put(t.Context(), store, "company_1/gone", []byte("x")))
		require.NoError(t, store.Delete(t.Context(), "company_1/gone"))
		missing(t, store, "company_1/gone")
	})
	t.Run("a broken upload leaves nothing", func(t *testing.T) {
		t.Parallel()
		err := store.Put(t.Context(), media.Object{Key: "company_1/broken", Body: broken{}, Size: 10, MimeType: "text/plain"})
		require.Error(t, err)
		missing(t, store, "company_1/broken")
	})
	t.Run("a canceled upload leaves nothing", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, Put(ctx, store, "company_1/canceled", []byte("x")), context.Canceled)
		missing(t, store, "company_1/canceled")
	})
	t.Run("no key leads anywhere else", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"", "x", "/x", "x/", "../x", "a/../b", "a/b/c", "a/b.part", "a b/c", "a/..", "a/\x00"} {
			require.ErrorIs(t, Put(t.Context(), store, bad, []byte("x")), media.ErrBadKey, bad)
			_, _, err := store.Open(t.Context(), bad)
			require.ErrorIs(t, err, media.ErrBadKey, bad)
			require.ErrorIs(t, store.Delete(t.Context(), bad), media.ErrBadKey, bad)
		}
	})
	t.Run("many write one key", func(t *testing.T) {
		t.Parallel()
		bodies := [][]byte{bytes.Repeat([]byte("a"), 100_000), bytes.Repeat([]byte("b"), 200_000)}
		var writers sync.WaitGroup
		for i := range 8 {
			writers.Go(func() {
				if err := Put(t.Context(), store, "company_1/shared", bodies[i%2]); err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		require.Contains(t, bodies, Get(t, store, "company_1/shared"), "one of them as a whole")
	})
}

// Put keeps bytes.
func Put(ctx context.Context, store media.Store, key string, body []byte) error {
	return store.Put(ctx, media.Object{Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), MimeType: "text/plain"})
}

// Get reads bytes.
func Get(t *testing.T, store media.Store, key string) []byte {
	t.Helper()
	body, size, err := store.Open(t.Context(), key)
	require.NoError(t, err)
	defer func() { require.NoError(t, body.Close()) }()
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.EqualValues(t, len(got), size)
	return got
}

// Bytes are random.
func Bytes(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := rand.Read(b)
	require.NoError(t, err)
	return b
}

func missing(t *testing.T, store media.Store, key string) {
	t.Helper()
	_, _, err := store.Open(t.Context(), key)
	require.ErrorIs(t, err, media.ErrNotFound, key)
}

// broken is a body whose sender hangs up.
type broken struct{}

var errHungUp = errors.New("hung up")

func (broken) Read([]byte) (int, error)                { return 0, errHungUp }
func (broken) Seek(offset int64, _ int) (int64, error) { return offset, nil }
