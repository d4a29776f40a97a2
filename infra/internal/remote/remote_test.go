package remote_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/internal/remote"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// call is what a server was asked.
type call struct {
	name, authorization string
	body                map[string]any
}

// answering starts a server with fixed answers by method and path, and returns what it is asked.
func answering(t *testing.T, answers map[string]string) (url string, calls *[]call) {
	t.Helper()
	calls = new([]call)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := call{name: r.Method + " " + r.URL.String(), authorization: r.Header.Get("Authorization")}
		_ = json.NewDecoder(r.Body).Decode(&got.body)
		*calls = append(*calls, got)
		answer, ok := answers[got.name]
		if !ok {
			http.Error(w, `{"error":"conflict"}`, http.StatusConflict)
			return
		}
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(server.Close)
	return server.URL, calls
}

func TestAPI(t *testing.T) {
	t.Parallel()
	url, calls := answering(t, map[string]string{
		"POST /api/whatsapp/companies":             `{}`,
		"POST /api/whatsapp/sessions/c/initialize": `{}`,
		"GET /api/whatsapp/sessions/c/qr":          `{"success":true,"data":{"qr":"2@x","attempts":1}}`,
		"POST /api/whatsapp/send":                  `{"success":true,"data":{"messageId":"3EB0"}}`,
		"GET /api/whatsapp/health":                 `{}`,
	})
	api := remote.NewAPI(url, "wf_key")
	t.Cleanup(api.Close)
	require.NoError(t, api.Healthy(t.Context()))
	require.NoError(t, api.CreateCompany(t.Context(), "c"))
	require.NoError(t, api.Initialize(t.Context(), "c"))
	qr, err := api.QR(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, "2@x", qr)
	id, err := api.Send(t.Context(), "c", "79", "hello")
	require.NoError(t, err)
	require.Equal(t, "3EB0", id)

	send := (*calls)[len(*calls)-1]
	require.Equal(t, "Bearer wf_key", send.authorization)
	require.Equal(t, map[string]any{"companyId": "c", "phone": "79", "message": "hello"}, send.body)
	require.Equal(t, "c", (*calls)[1].body["companyId"])
	require.Contains(t, (*calls)[1].body, "rateLimit")
}

func TestNoQRYet(t *testing.T) {
	t.Parallel()
	url, _ := answering(t, nil) // everything is a conflict
	api := remote.NewAPI(url, "wf_key")
	t.Cleanup(api.Close)
	qr, err := api.QR(t.Context(), "c")
	require.NoError(t, err)
	require.Empty(t, qr)

	_, err = api.Send(t.Context(), "c", "79", "hello")
	var refused *remote.StatusError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusConflict, refused.Status)
	require.ErrorContains(t, err, "POST /api/whatsapp/send: status 409")
	require.ErrorContains(t, err, "conflict")
}

func TestSimulator(t *testing.T) {
	t.Parallel()
	url, calls := answering(t, map[string]string{
		"GET /root":                `{"noiseRoot":"ab","caPem":"pem","endpoint":"127.0.0.1:4000"}`,
		"POST /phones":             `{}`,
		"POST /phones/79/scan":     `{}`,
		"GET /phones/79/messages":  `[{"id":"A","receivedAt":1700000000123,"duplicate":true,"text":"x"}]`,
		"GET /journal?after=7":     `[{"n":8,"t":5,"connection":3,"direction":"out","tag":"receipt","id":"A","error":"x"}]`,
		"POST /phones/79/messages": `{"id":"B"}`,
		"POST /faults":             `{}`,
	})
	simulator := remote.NewSimulator(url)
	t.Cleanup(simulator.Close)
	require.Equal(t, url, simulator.URL())
	root, err := simulator.Root(t.Context())
	require.NoError(t, err)
	require.Equal(t, remote.Root{NoiseRoot: "ab", CAPEM: "pem", Endpoint: "127.0.0.1:4000"}, root)
	require.NoError(t, simulator.AddPhone(t.Context(), "79"))
	require.NoError(t, simulator.Scan(t.Context(), "79", "2@x"))
	require.Equal(t, map[string]any{"qr": "2@x"}, (*calls)[2].body)
	messages, err := simulator.Messages(t.Context(), "79")
	require.NoError(t, err)
	require.Len(t, messages, 1)
	require.True(t, messages[0].Duplicate)
	require.Equal(t, time.UnixMilli(1700000000124), messages[0].Arrived(), "never too early")
	rows, err := simulator.Journal(t.Context(), 7)
	require.NoError(t, err)
	require.Equal(t, []remote.Row{{N: 8, T: 5, Connection: 3, Error: "x", Direction: "out", Tag: "receipt", ID: "A"}}, rows)
	require.Empty(t, (*calls)[0].authorization)
	id, err := simulator.Write(t.Context(), "79", "78", "hi")
	require.NoError(t, err)
	require.Equal(t, "B", id)
	require.NoError(t, simulator.DropAll(t.Context()))
	require.Equal(t, map[string]any{"kind": "drop"}, (*calls)[len(*calls)-1].body)
}

func TestAnAnswerThatIsNoJSON(t *testing.T) {
	t.Parallel()
	url, _ := answering(t, map[string]string{"GET /root": `<html>`})
	simulator := remote.NewSimulator(url)
	t.Cleanup(simulator.Close)
	_, err := simulator.Root(t.Context())
	require.ErrorContains(t, err, "GET /root")
}
