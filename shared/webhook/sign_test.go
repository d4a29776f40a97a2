package webhook_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"wafleet/shared/webhook"
)

// The test vector of the Standard Webhooks libraries, the same in all their languages.
const (
	vectorSecret    = webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	vectorID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	vectorTime      = 1614265330
	vectorBody      = `{"test": 2432232314}`
	vectorSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func TestSignMatchesTheSpecification(t *testing.T) {
	t.Parallel()
	header := sign(t, vectorSecret, "", false, time.Unix(vectorTime, 0))
	require.Equal(t, http.Header{
		"Webhook-Id":        {vectorID},
		"Webhook-Timestamp": {strconv.Itoa(vectorTime)},
		"Webhook-Signature": {vectorSignature},
	}, header)
}

func TestSignWhileRotating(t *testing.T) {
	t.Parallel()
	current, previous := webhook.NewSecret(), webhook.NewSecret()
	header := sign(t, current, previous, false, time.Now())
	require.Len(t, strings.Split(header.Get(webhook.HeaderSignature), " "), 2)
	for _, secret := range []webhook.Secret{current, previous} {
		w, err := standardwebhooks.NewWebhook(string(secret))
		require.NoError(t, err)
		require.NoError(t, w.Verify([]byte(vectorBody), header), "a receiver that knows one of the two must be content")
		require.NoError(t, webhook.Verify([]byte(vectorBody), header, secret))
	}
	require.ErrorIs(t, webhook.Verify([]byte(vectorBody), header, webhook.NewSecret()), webhook.ErrNotAuthentic)
	// A receiver may rotate as well.
	require.NoError(t, webhook.Verify([]byte(vectorBody), header, webhook.NewSecret(), current))
}

func TestLegacySignature(t *testing.T) {
	t.Parallel()
	current, previous := webhook.NewSecret(), webhook.NewSecret()
	for name, c := range map[string]struct{ current, previous, want webhook.Secret }{
		"alone":    {current, "", current},
		"rotating": {current, previous, previous},
	} {
		header := sign(t, c.current, c.previous, true, time.Now())
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(c.want), "whsec_"))
		require.NoError(t, err)
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(vectorBody))
		require.Equal(t, hex.EncodeToString(mac.Sum(nil)), header.Get("x-signature"), name)
	}
	require.NotContains(t, sign(t, current, "", false, time.Now()), "X-Signature")
}

func TestVerifyTolerance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for offset, ok := range map[time.Duration]bool{
			0: true, -5 * time.Minute: true, 5 * time.Minute: true,
			-5*time.Minute - time.Second: false, 5*time.Minute + time.Second: false,
		} {
			header := sign(t, vectorSecret, "", false, time.Now().Add(offset))
			err := webhook.Verify([]byte(vectorBody), header, vectorSecret)
			if ok {
				require.NoError(t, err, offset)
			} else {
				require.ErrorIs(t, err, webhook.ErrNotAuthentic, offset)
			}
		}
	})
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	change := func(name, value string) func(http.Header) { return func(h http.Header) { h.Set(name, value) } }
	for name, tamper := range map[string]func(http.Header){
		"no id":            func(h http.Header) { h.Del(webhook.HeaderID) },
		"no time":          func(h http.Header) { h.Del(webhook.HeaderTimestamp) },
		"no signature":     func(h http.Header) { h.Del(webhook.HeaderSignature) },
		"other id":         change(webhook.HeaderID, "other"),
		"time as text":     change(webhook.HeaderTimestamp, "now"),
		"other time":       change(webhook.HeaderTimestamp, strconv.FormatInt(time.Now().Unix()-60, 10)),
		"other version":    change(webhook.HeaderSignature, "v2,"+vectorSignature[3:]),
		"only the version": change(webhook.HeaderSignature, "v1,"),
		"garbage":          change(webhook.HeaderSignature, ", ,v1 v1,,,"),
	} {
		header := sign(t, vectorSecret, "", false, time.Now())
		require.NoError(t, webhook.Verify([]byte(vectorBody), header, vectorSecret))
		tamper(header)
		require.ErrorIs(t, webhook.Verify([]byte(vectorBody), header, vectorSecret), webhook.ErrNotAuthentic, name)
	}
	header := sign(t, vectorSecret, "", false, time.Now())
	require.ErrorIs(t, webhook.Verify([]byte(vectorBody+" "), header, vectorSecret), webhook.ErrNotAuthentic, "other body")
	require.ErrorIs(t, webhook.Verify([]byte(vectorBody), header), webhook.ErrNotAuthentic, "no secret")
	require.ErrorIs(t, webhook.Verify([]byte(vectorBody), header, "whsec_"), webhook.ErrInvalidSecret)
}

func TestSecret(t *testing.T) {
	t.Parallel()
	secret := webhook.NewSecret()
	require.NotEqual(t, secret, webhook.NewSecret())
	parsed, err := webhook.ParseSecret(string(secret))
	require.NoError(t, err)
	require.Equal(t, secret, parsed)
	_, err = webhook.ParseSecret(string(vectorSecret))
	require.NoError(t, err, "24 bytes are enough")

	encode := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for name, bad := range map[string]string{
		"empty": "", "no prefix": strings.TrimPrefix(string(secret), "whsec_"), "not base64": "whsec_" + strings.Repeat("*", 44),
		"too short": encode(23), "too long": encode(65), "only the prefix": "whsec_",
	} {
		_, err := webhook.ParseSecret(bad)
		require.ErrorIs(t, err, webhook.ErrInvalidSecret, name)
		_, err = webhook.NewSigner(webhook.Secret(bad), "", false)
		require.ErrorIs(t, err, webhook.ErrInvalidSecret, name)
	}
	_, err = webhook.NewSigner(secret, "bad", false)
	require.ErrorIs(t, err, webhook.ErrInvalidSecret)
}

func TestSecretStaysOutOfLogs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).InfoContext(t.Context(), "endpoint", "secret", vectorSecret)
	require.Contains(t, out.String(), "[redacted]")
	require.NotContains(t, out.String(), "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
}

// Whatever arrives, Verify neither panics nor believes what the Standard Webhooks library does not.
func FuzzVerify(f *testing.F) {
	f.Add(vectorID, strconv.Itoa(vectorTime), vectorSignature, []byte(vectorBody), string(vectorSecret))
	f.Add("id", strconv.FormatInt(time.Now().Unix(), 10), "v1,x v2,y", []byte(`{}`), "whsec_AA==")
	f.Add("", "", "", []byte{}, "")
	f.Fuzz(func(t *testing.T, id, at, signature string, body []byte, secret string) {
		header := http.Header{}
		header.Set(webhook.HeaderID, id)
		header.Set(webhook.HeaderTimestamp, at)
		header.Set(webhook.HeaderSignature, signature)
		if webhook.Verify(body, header, webhook.Secret(secret)) == nil {
			w, err := standardwebhooks.NewWebhook(secret)
			require.NoError(t, err)
			require.NoError(t, w.Verify(body, header))
		}
	})
}

func sign(t *testing.T, current, previous webhook.Secret, legacy bool, at time.Time) http.Header {
	t.Helper()
	signer, err := webhook.NewSigner(current, previous, legacy)
	require.NoError(t, err)
	header := http.Header{}
	require.NoError(t, signer.Sign(header, vectorID, at, []byte(vectorBody)))
	return header
}
