package devicestore

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is secret is not in the database as it is.
func TestSecretsAreSealed(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	device := pair(t, p, testJID, testLID)
	fill(t, device) // "session", "key", "data", "secret", "token", "plaintext"
	all := contents(t, p)
	for table, text := range map[string]string{
		"device_sessions": "session", "device_sender_keys": "key", "device_app_state_keys": "data", "device_message_secrets": "secret",
		"device_privacy_tokens": "token", "device_events": "plaintext",
	} {
		require.NotEmpty(t, all[table])
		require.NotContains(t, all[table], inHex(text), table)
	}
	for _, key := range []*[32]byte{device.NoiseKey.Priv, device.IdentityKey.Priv, device.SignedPreKey.Priv} {
		require.NotContains(t, all["devices"], inHex(string(key[:])))
	}
	require.NotContains(t, all["devices"], inHex(string(device.AdvSecretKey)))
	prekey, err := device.PreKeys.GetPreKey(t.Context(), 1)
	require.NoError(t, err)
	require.NotContains(t, all["device_prekeys"], inHex(string(prekey.Priv[:])))
	require.Contains(t, all["device_identities"], inHex(string(append([]byte{1}, make([]byte, 31)...))), "a public key is as it is")
}

func inHex(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// A sealed text that is somewhere else does not open there. Signal recovers from a session that is missing, and would not
// from an error that never ends.
func TestWhatDoesNotOpenCountsAsMissing(t *testing.T) {
	t.Parallel()
	p, _ := openStore(t)
	device := pair(t, p, testJID, testLID)
	fill(t, device)
	require.NoError(t, device.Sessions.PutSession(t.Context(), companion, []byte("another")))
	execute(t, p, `UPDATE device_sessions SET sealed_session = (SELECT sealed_session FROM device_sessions WHERE address = $1) WHERE address = $2`, companion, peer)
	sessions, err := device.Sessions.GetManySessions(t.Context(), []string{peer, companion})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{peer: nil, companion: []byte("another")}, sessions)

	for table, column := range map[string]string{
		"device_prekeys": "sealed_key", "device_sender_keys": "sealed_key", "device_message_secrets": "sealed_secret",
		"device_privacy_tokens": "sealed_token", "device_app_state_keys": "sealed_key", "device_events": "sealed_plaintext",
	} {
		execute(t, p, "UPDATE "+table+" SET "+column+" = 'damaged'")
	}
	prekey, err := device.PreKeys.GetPreKey(t.Context(), 1)
	require.NoError(t, err)
	require.Nil(t, prekey)
	key, err := device.SenderKeys.GetSenderKey(t.Context(), "group", peer)
	require.NoError(t, err)
	require.Nil(t, key)
	chat := mustJID("1002@lid")
	secret, _, err := device.MsgSecrets.GetMessageSecret(t.Context(), chat, chat, "A")
	require.NoError(t, err)
	require.Nil(t, secret)
	token, err := device.PrivacyTokens.GetPrivacyToken(t.Context(), chat)
	require.NoError(t, err)
	require.Nil(t, token)
	appKey, err := device.AppStateKeys.GetAppStateSyncKey(t.Context(), []byte("id"))
	require.NoError(t, err)
	require.Nil(t, appKey)

	// A plaintext is lost with that; its sender is asked for another one, so this must not pass for an outage.
	_, err = device.EventBuffer.GetBufferedEvent(t.Context(), [32]byte{1})
	require.Error(t, err)
	var postponed *postponedError
	require.NotErrorAs(t, err, &postponed)
}
