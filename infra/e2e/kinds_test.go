//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a company sends, of whatever kind, is what the phone of its customer gets; files pass through the API, the media
// folder and a host that is a process of its own.
func TestEveryKindReachesThePhone(t *testing.T) {
	in := newInstallation(t, "HOSTS=2")
	in.makeRun()
	c := newClient(t, in.awaitReady())
	c.link("acme", shop)
	c.phones(http.MethodPost, "/phones", object{"phone": customer, "name": "Anna"})

	var file bytes.Buffer
	require.NoError(t, png.Encode(&file, image.NewGray(image.Rect(0, 0, 50, 40))))
	sum := sha256.Sum256(file.Bytes())
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file.Bytes()) }))
	t.Cleanup(site.Close)

	post := func(message object) string {
		t.Helper()
		message["companyId"] = "acme"
		return c.api(http.MethodPost, "/messages", message).(object)["messageId"].(string)
	}
	text := post(object{"to": customer, "type": "text", "text": "hello"})
	var ids []string
	for _, message := range []object{
		{"to": customer, "type": "text", "text": "reply", "replyTo": text},
		{"to": customer, "type": "location", "latitude": 55.75, "longitude": 37.62, "name": "Salon"},
		{"to": customer, "type": "contact", "contact": object{"name": "Anna", "phone": customer}},
		{"to": customer, "type": "poll", "question": "Tea?", "options": []string{"yes", "no"}},
		{"to": customer, "type": "image", "mediaUrl": site.URL + "/picture.png", "caption": "look"},
		{"to": customer, "type": "document", "mediaBase64": base64.StdEncoding.EncodeToString(file.Bytes()), "fileName": "list.png"},
		{"type": "reaction", "messageId": text, "emoji": "👍"},
		{"type": "edit", "messageId": text, "text": "hello again"},
		{"type": "revoke", "messageId": text},
	} {
		ids = append(ids, post(message))
	}
	ids = append(ids, c.api(http.MethodPost, "/send-media", object{
		"companyId": "acme", "phone": customer, "mediaUrl": site.URL + "/picture.png", "type": "image", "caption": "look again",
	}).(object)["messageId"].(string))

	got := map[string]object{}
	c.await("every message", func() bool {
		for _, row := range c.phones(http.MethodGet, "/phones/"+customer+"/messages", nil).([]any) {
			got[row.(object)["id"].(string)] = row.(object)
		}
		return len(got) == len(ids)+1
	})
	var types []string
	for _, id := range ids {
		types = append(types, got[id]["type"].(string))
	}
	require.Equal(t, []string{"reply", "location", "contact", "poll", "image", "document", "reaction", "edit", "revoke", "image"}, types)
	for _, n := range []int{4, 5, 9} {
		require.Equal(t, hex.EncodeToString(sum[:]), got[ids[n]]["mediaSha256"], got[ids[n]])
	}
	for _, n := range []int{0, 6, 7, 8} {
		require.Equal(t, text, got[ids[n]]["target"])
	}

	canceled := post(object{"to": customer, "type": "text", "text": "never", "sendAt": time.Now().Add(time.Hour).Format(time.RFC3339)})
	require.Equal(t, "canceled", c.api(http.MethodDelete, "/messages/"+canceled, nil).(object)["status"])

	incoming := c.phones(http.MethodPost, "/phones/"+customer+"/messages", object{"to": shop, "text": "thanks"}).(object)["id"].(string)
	var id string
	c.await("the answer", func() bool {
		for _, event := range c.api(http.MethodGet, "/events?companyId=acme&limit=500", nil).([]any) {
			if data := event.(object)["data"].(object); data["waMessageId"] == incoming {
				id = data["messageId"].(string)
			}
		}
		return id != ""
	})
	c.api(http.MethodPost, "/chats/"+customer+"/typing", object{"companyId": "acme"})
	c.api(http.MethodPost, "/messages/"+id+"/read", nil)
}
