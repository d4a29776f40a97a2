//go:build e2e

package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// The facts of a message reach the company's endpoint, signed as Standard Webhooks says and as the predecessor did; the
// event log tells the same.
func TestWebhooksTellTheStoryOfAMessage(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	c := newClient(t, in.awaitReady())

	calls := make(chan *received, 64)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		calls <- &received{header: r.Header, body: body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(endpoint.Close)

	c.api(http.MethodPost, "/companies", object{"companyId": "acme"})
	created := c.api(http.MethodPost, "/webhooks", object{
		"companyId": "acme", "url": endpoint.URL, "legacySignature": true,
		"events": []string{"message.sent", "message.delivered", "message.received"},
	}).(object)
	c.pair("acme", shop)
	c.phones(http.MethodPost, "/phones", object{"phone": customer, "name": "Anna"})
	id := c.send("acme", customer, "hello")
	c.awaitText(customer, "hello")
	c.phones(http.MethodPost, "/phones/"+customer+"/messages", object{"to": shop, "text": "hi!"})

	told := map[string]object{}
	c.await("three webhooks", func() bool {
		select {
		case call := <-calls:
			call.verify(t, created["secret"].(string))
			var event object
			require.NoError(t, json.Unmarshal(call.body, &event))
			require.Equal(t, "acme", event["companyId"])
			told[event["type"].(string)] = event
		default:
		}
		return len(told) == 3
	})
	require.Equal(t, id, told["message.sent"]["data"].(object)["messageId"])
	require.Equal(t, id, told["message.delivered"]["data"].(object)["messageId"])
	require.Equal(t, "hi!", told["message.received"]["data"].(object)["text"])
	require.Equal(t, customer, told["message.received"]["data"].(object)["from"].(object)["phone"])

	logged := map[any]any{}
	for _, row := range c.api(http.MethodGet, "/events?companyId=acme", nil).([]any) {
		logged[row.(object)["type"]] = row.(object)["id"]
	}
	for kind, event := range told {
		require.Equal(t, logged[kind], event["id"], "one fact, one id: %s", kind)
	}
}

// received is one call of the endpoint.
type received struct {
	header http.Header
	body   []byte
}

func (r *received) verify(t *testing.T, secret string) {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	require.NoError(t, hook.Verify(r.body, r.header))
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	mac := hmac.New(sha256.New, key)
	mac.Write(r.body)
	require.Equal(t, hex.EncodeToString(mac.Sum(nil)), r.header.Get("x-signature"))
}
