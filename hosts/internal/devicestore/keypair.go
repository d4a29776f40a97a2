package devicestore

import (
	"crypto/rand"

	"filippo.io/edwards25519"
	"go.mau.fi/whatsmeow/util/keys"
)

// newPair makes a key pair as keys.NewKeyPair does.
func newPair() *keys.KeyPair {
	var private [keySize]byte
	_, _ = rand.Read(private[:]) // never fails
	private[0] &= 248
	private[31] = private[31]&127 | 64
	return pairOf(private)
}

// pairOf completes a private key. It is what keys.NewKeyPairFromPrivateKey returns, computed on the Edwards form of the curve,
// whose base point has tables: a pairing makes 812 keys, which took two thirds of its time.
func pairOf(private [keySize]byte) *keys.KeyPair {
	scalar, err := edwards25519.NewScalar().SetBytesWithClamping(private[:])
	if err != nil { // of a slice of another length
		return keys.NewKeyPairFromPrivateKey(private)
	}
	public := [keySize]byte(new(edwards25519.Point).ScalarBaseMult(scalar).BytesMontgomery())
	return &keys.KeyPair{Pub: &public, Priv: &private}
}
