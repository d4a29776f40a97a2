package pairing_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/libsignal/ecc"
	"go.mau.fi/whatsmeow/proto/waAdv"
	"go.mau.fi/whatsmeow/util/keys"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/pairing"
)

func key(seed byte) string {
	return base64.StdEncoding.EncodeToString(slices.Repeat([]byte{seed}, 32))
}

func TestParseQR(t *testing.T) {
	t.Parallel()
	plain := strings.Join([]string{"2@ref", key(1), key(2), key(3)}, ",")
	for name, text := range map[string]string{
		"whatsmeow": plain,
		"Baileys":   "https://wa.me/settings/linked_devices#" + plain + ",1",
		"with end":  plain + "\n",
	} {
		qr, err := pairing.ParseQR(text)
		require.NoError(t, err, name)
		require.Equal(t, "2@ref", qr.Ref)
		require.Equal(t, byte(1), qr.Noise[0])
		require.Equal(t, byte(2), qr.Identity[0])
		require.Equal(t, slices.Repeat([]byte{3}, 32), qr.Secret)
	}
	for name, text := range map[string]string{
		"empty":        "",
		"few parts":    "2@ref," + key(1),
		"many parts":   plain + ",1,2",
		"no reference": plain[len("2@ref"):],
		"no base64":    strings.Replace(plain, key(2), "###", 1),
		"short key":    strings.Replace(plain, key(2), "AAAA", 1),
	} {
		_, err := pairing.ParseQR(text)
		require.ErrorIs(t, err, pairing.ErrQR, name)
	}
}

func FuzzParseQR(f *testing.F) {
	f.Add(strings.Join([]string{"2@ref", key(1), key(2), key(3)}, ","))
	f.Add("https://wa.me/#a,b,c,d,e")
	f.Fuzz(func(t *testing.T, text string) {
		qr, err := pairing.ParseQR(text)
		if err != nil {
			require.ErrorIs(t, err, pairing.ErrQR)
			return
		}
		require.NotEmpty(t, qr.Ref)
		require.Len(t, qr.Secret, 32)
	})
}

func TestCertificate(t *testing.T) {
	t.Parallel()
	account, companion, secret := keys.NewKeyPair(), keys.NewKeyPair(), []byte("secret")
	certificate, err := pairing.Issue(account, *companion.Pub, secret, 7, time.Now())
	require.NoError(t, err)

	var container waAdv.ADVSignedDeviceIdentityHMAC
	require.NoError(t, proto.Unmarshal(certificate.Container, &container))
	mac := hmac.New(sha256.New, secret)
	mac.Write(container.GetDetails())
	require.Equal(t, mac.Sum(nil), container.GetHMAC())
	var identity waAdv.ADVSignedDeviceIdentity
	require.NoError(t, proto.Unmarshal(container.GetDetails(), &identity))
	require.Equal(t, account.Pub[:], identity.GetAccountSignatureKey())
	require.True(t, ecc.VerifySignature(ecc.NewDjbECPublicKey(*account.Pub),
		slices.Concat([]byte{6, 0}, identity.GetDetails(), companion.Pub[:]), [64]byte(identity.GetAccountSignature())))
	var details waAdv.ADVDeviceIdentity
	require.NoError(t, proto.Unmarshal(identity.GetDetails(), &details))
	require.Equal(t, uint32(7), details.GetKeyIndex())

	sign := func(with *keys.KeyPair) []byte {
		signature := ecc.CalculateSignature(ecc.NewDjbECPrivateKey(*with.Priv),
			slices.Concat([]byte{6, 1}, identity.GetDetails(), companion.Pub[:], account.Pub[:]))
		identity.DeviceSignature = signature[:]
		encoded, err := proto.Marshal(&identity)
		require.NoError(t, err)
		return encoded
	}
	require.NoError(t, certificate.Confirm(sign(companion)))
	require.ErrorIs(t, certificate.Confirm(sign(account)), pairing.ErrSignature)
	require.ErrorIs(t, certificate.Confirm(nil), pairing.ErrSignature)
	require.ErrorIs(t, certificate.Confirm([]byte{0xff}), pairing.ErrSignature)
}

func TestNormalizeCode(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"ABCD-1234", "ABCD1234", "abcd-1234", "AB CD 12 34"} {
		normal, err := pairing.NormalizeCode(code)
		require.NoError(t, err)
		require.Equal(t, "ABCD1234", normal)
	}
	for _, code := range []string{"", "ABCD-123", "ABCD-12345", "ABCD-123O", "ABCD-123I", "ABCD-1230", "АБВГ-1234"} {
		_, err := pairing.NormalizeCode(code)
		require.ErrorIs(t, err, pairing.ErrCode, code)
	}
}

// companion is the other side of pairing by code.
type companion struct {
	identity, ephemeral *ecdh.PrivateKey
	code                string
}

func newCompanion(t *testing.T, code string) *companion {
	t.Helper()
	identity, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	ephemeral, err := ecdh.X25519().GenerateKey(rand.Reader)
	require.NoError(t, err)
	return &companion{identity, ephemeral, code}
}

func (c *companion) crypt(t *testing.T, head, key []byte) []byte {
	t.Helper()
	derived, err := pbkdf2.Key(sha256.New, c.code, head[:32], 2<<16, 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(derived)
	require.NoError(t, err)
	out := make([]byte, len(key))
	cipher.NewCTR(block, head[32:48]).XORKeyStream(out, key)
	return out
}

func (c *companion) hello(t *testing.T) []byte {
	t.Helper()
	head := slices.Repeat([]byte{7}, 48)
	return slices.Concat(head, c.crypt(t, head, c.ephemeral.PublicKey().Bytes()))
}

// finish is the companion's last message and the secret it has.
func (c *companion) finish(t *testing.T, wrapped []byte, account [32]byte) (bundle, secret []byte) {
	t.Helper()
	phone, err := ecdh.X25519().NewPublicKey(c.crypt(t, wrapped[:48], wrapped[48:]))
	require.NoError(t, err)
	shared, err := c.ephemeral.ECDH(phone)
	require.NoError(t, err)
	salt, nonce, random := slices.Repeat([]byte{8}, 32), make([]byte, 12), slices.Repeat([]byte{9}, 32)
	key, err := hkdf.Key(sha256.New, shared, salt, "link_code_pairing_key_bundle_encryption_key", 32)
	require.NoError(t, err)
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	sealed := gcm.Seal(nil, nonce, slices.Concat(c.identity.PublicKey().Bytes(), account[:], random), nil)
	remote, err := ecdh.X25519().NewPublicKey(account[:])
	require.NoError(t, err)
	identities, err := c.identity.ECDH(remote)
	require.NoError(t, err)
	secret, err = hkdf.Key(sha256.New, slices.Concat(shared, identities, random), nil, "adv_secret", 32)
	require.NoError(t, err)
	return slices.Concat(salt, nonce, sealed), secret
}

func TestCode(t *testing.T) {
	t.Parallel()
	account, c := keys.NewKeyPair(), newCompanion(t, "ABCD1234")
	exchange, err := pairing.EnterCode(account, "ABCD1234", c.hello(t))
	require.NoError(t, err)
	bundle, want := c.finish(t, exchange.Wrapped, *account.Pub)
	identity := [32]byte(c.identity.PublicKey().Bytes())
	secret, err := exchange.Finish(bundle, identity)
	require.NoError(t, err)
	require.Equal(t, want, secret)

	_, err = exchange.Finish(bundle, [32]byte{1})
	require.ErrorIs(t, err, pairing.ErrCode, "the bundle of somebody else")
	_, err = exchange.Finish(bundle[:40], identity)
	require.ErrorIs(t, err, pairing.ErrCode)
	bundle[len(bundle)-1] ^= 1
	_, err = exchange.Finish(bundle, identity)
	require.ErrorIs(t, err, pairing.ErrCode)
}

func TestWrongCode(t *testing.T) {
	t.Parallel()
	account, c := keys.NewKeyPair(), newCompanion(t, "ABCD1234")
	exchange, err := pairing.EnterCode(account, "ABCD1235", c.hello(t))
	require.NoError(t, err, "nobody can tell yet")
	bundle, _ := c.finish(t, exchange.Wrapped, *account.Pub)
	_, err = exchange.Finish(bundle, [32]byte(c.identity.PublicKey().Bytes()))
	require.ErrorIs(t, err, pairing.ErrCode)
	_, err = pairing.EnterCode(account, "ABCD1234", []byte("short"))
	require.ErrorIs(t, err, pairing.ErrCode)
}
