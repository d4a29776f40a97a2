//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/infra/local/devenv"
)

// deliveredWithin is how long a message may take to the phone of its recipient. One that a killed process had just taken
// from the queue is handed out again after 30 s.
const deliveredWithin = time.Minute

// client talks to the API and to the simulator of an installation.
type client struct {
	t        *testing.T
	url, key string
	wasim    string
}

func newClient(t *testing.T, file devenv.File) *client {
	t.Helper()
	c := &client{t: t, url: file.Get("WAFLEET_URL"), key: file.Get("WAFLEET_API_KEY"), wasim: file.Get("WASIM_URL")}
	require.NotEmpty(t, c.url)
	require.NotEmpty(t, c.key)
	return c
}

// object is a JSON object.
type object = map[string]any

// call makes a request and returns the status and the body, which has to be JSON.
func (c *client) call(method, url string, body any) (int, any) {
	c.t.Helper()
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		require.NoError(c.t, err)
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(c.t.Context(), method, url, payload)
	require.NoError(c.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.key)
	response, err := http.DefaultClient.Do(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	var answer any
	if len(content) > 0 {
		require.NoError(c.t, json.Unmarshal(content, &answer), "%s", content)
	}
	return response.StatusCode, answer
}

// api makes a request that has to succeed and returns the data of the answer.
func (c *client) api(method, path string, body any) any {
	c.t.Helper()
	status, answer := c.call(method, c.url+"/api/whatsapp"+path, body)
	require.Less(c.t, status, 300, "%s %s: %v", method, path, answer)
	return answer.(object)["data"]
}

// phones makes a request to the simulator that has to succeed.
func (c *client) phones(method, path string, body any) any {
	c.t.Helper()
	status, answer := c.call(method, c.wasim+path, body)
	require.Less(c.t, status, 300, "%s %s: %v", method, path, answer)
	return answer
}

// link makes a company and links it with a new phone of that number.
func (c *client) link(company, number string) {
	c.t.Helper()
	c.api(http.MethodPost, "/companies", object{"companyId": company})
	c.pair(company, number)
}

// pair links a company that exists with a new phone of that number.
func (c *client) pair(company, number string) {
	c.t.Helper()
	c.phones(http.MethodPost, "/phones", object{"phone": number, "name": company})
	c.api(http.MethodPost, "/sessions/"+company+"/initialize", nil)
	var qr string
	c.await("QR code", func() bool {
		status, answer := c.call(http.MethodGet, c.url+"/api/whatsapp/sessions/"+company+"/qr", nil)
		if status == http.StatusOK {
			qr = answer.(object)["data"].(object)["qr"].(string)
		}
		return status == http.StatusOK
	})
	c.phones(http.MethodPost, "/phones/"+number+"/scan", object{"qr": qr})
	c.awaitConnected(company)
}

func (c *client) awaitConnected(company string) {
	c.t.Helper()
	c.await("connection of "+company, func() bool {
		return c.api(http.MethodGet, "/sessions/"+company+"/status", nil).(object)["connected"] == true
	})
}

// send sends a text and returns the message's id.
func (c *client) send(company, to, text string) string {
	c.t.Helper()
	answer := c.api(http.MethodPost, "/send", object{"companyId": company, "phone": to, "message": text})
	return answer.(object)["messageId"].(string)
}

// trySend sends a text with an idempotency key made of it, and tells whether it was accepted. The server may be away.
func (c *client) trySend(company, to, text string) (id string, accepted bool) {
	c.t.Helper()
	body, err := json.Marshal(object{"companyId": company, "phone": to, "message": text})
	require.NoError(c.t, err)
	request, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.url+"/api/whatsapp/send", bytes.NewReader(body))
	require.NoError(c.t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Idempotency-Key", text)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", false
	}
	defer response.Body.Close()
	var answer struct{ Data struct{ MessageID string } }
	if response.StatusCode != http.StatusOK || json.NewDecoder(response.Body).Decode(&answer) != nil {
		return "", false
	}
	return answer.Data.MessageID, true
}

// arrived lists the ids of what a phone got, in order, without resends under the same id.
func (c *client) arrived(number string) []string {
	c.t.Helper()
	var ids []string
	for _, row := range c.phones(http.MethodGet, "/phones/"+number+"/messages", nil).([]any) {
		if row.(object)["duplicate"] != true {
			ids = append(ids, row.(object)["id"].(string))
		}
	}
	return ids
}

// awaitText waits until a phone has got a text, and returns how often.
func (c *client) awaitText(number, text string) int {
	c.t.Helper()
	got := 0
	c.await(fmt.Sprintf("message %q", text), func() bool {
		got = 0
		for _, row := range c.phones(http.MethodGet, "/phones/"+number+"/messages", nil).([]any) {
			if row.(object)["text"] == text {
				got++
			}
		}
		return got > 0
	})
	return got
}

func (c *client) await(what string, yes func() bool) {
	c.t.Helper()
	(&Installation{t: c.t}).await(deliveredWithin, what, yes)
}
