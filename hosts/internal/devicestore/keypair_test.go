package devicestore

import (
	"crypto/rand"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/util/keys"
)

func TestPairsAreThoseOfWhatsmeow(t *testing.T) {
	t.Parallel()
	private := [][keySize]byte{{}, {31: 0xff}}
	for range 200 {
		var random [keySize]byte
		_, _ = rand.Read(random[:]) // never fails
		private = append(private, random)
	}
	for _, key := range private {
		require.Equal(t, keys.NewKeyPairFromPrivateKey(key), pairOf(key))
	}
}

func BenchmarkPairOf(b *testing.B) {
	for name, pair := range map[string]func([keySize]byte) *keys.KeyPair{"ours": pairOf, "whatsmeow": keys.NewKeyPairFromPrivateKey} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				pair([keySize]byte{1})
			}
		})
	}
}
