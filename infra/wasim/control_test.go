package wasim_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/types/events"

	"wafleet/infra/wasim"
)

// api speaks to the control API.
type api struct {
	*bundle

	t *testing.T
}

func startAPI(t *testing.T) *api {
	t.Helper()
	return &api{start(t, wasim.Options{Control: "127.0.0.1:0"}), t}
}

// call sends a request and returns the status and the answer.
func (a *api) call(method, path, body string) (int, string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), method, a.ControlURL()+path, strings.NewReader(body))
	require.NoError(a.t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(a.t, err)
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	require.NoError(a.t, err)
	if len(answer) > 0 {
		require.Equal(a.t, "application/json", response.Header.Get("Content-Type"))
		require.True(a.t, json.Valid(answer), string(answer))
	}
	return response.StatusCode, string(answer)
}

// do sends a request that must succeed with the status, and decodes the answer.
func (a *api) do(status int, method, path, body string, into any) {
	a.t.Helper()
	got, answer := a.call(method, path, body)
	require.Equal(a.t, status, got, "%s %s: %s", method, path, answer)
	if into != nil {
		require.NoError(a.t, json.Unmarshal([]byte(answer), into))
	}
}

func TestControlFromPairingToMessages(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	var phone map[string]any
	a.do(201, "POST", "/phones", `{"phone":"79001234567","name":"Anna"}`, &phone)
	require.Equal(t, anna, phone["phone"])
	require.Equal(t, true, phone["online"])
	a.do(201, "POST", "/phones", `{"phone":"+79007654321","online":true,"autoDelivery":true}`, nil)

	company, codes := a.shown(t)
	var linked map[string]any
	a.do(200, "POST", "/phones/"+anna+"/scan", fmt.Sprintf(`{"qr":%q}`, codes[0]), &linked)
	require.InDelta(t, 1, linked["device"], 0)
	await[*events.Connected](t, company, nil)

	var sent struct{ ID string }
	a.do(200, "POST", "/phones/"+boris+"/messages", `{"to":"79001234567","text":"hi"}`, &sent)
	require.NotEmpty(t, sent.ID)
	require.Equal(t, sent.ID, awaitIncoming(t, company, "hi").Info.ID)
	a.do(200, "POST", "/phones/"+boris+"/messages",
		`{"to":"79001234567","type":"image","caption":"c","mimeType":"image/png","mediaBase64":"`+
			base64.StdEncoding.EncodeToString(picture(100))+`"}`, &sent)
	await(t, company, func(m *events.Message) bool { return m.Message.GetImageMessage().GetCaption() == "c" })

	id := company.text(t, boris, "hello")
	a.awaitText(t, boris, "hello")
	var rows []map[string]any
	a.do(200, "GET", "/phones/"+boris+"/messages", "", &rows)
	require.Len(t, rows, 1)
	require.Equal(t, id, rows[0]["id"])
	require.Equal(t, anna, rows[0]["from"])
	require.InDelta(t, 1, rows[0]["fromDevice"], 0)
	require.Equal(t, "text", rows[0]["type"])
	require.InDelta(t, time.Now().UnixMilli(), rows[0]["timestamp"], 60_000)
	require.NotContains(t, rows[0], "duplicate")

	a.do(204, "POST", "/phones/"+boris+"/receipts", fmt.Sprintf(`{"type":"read","ids":[%q]}`, id), nil)
	await(t, company, func(r *events.Receipt) bool { return r.Type == "read" })
	var receipts []map[string]any
	require.Eventually(t, func() bool {
		a.do(200, "GET", "/phones/"+boris+"/receipts", "", &receipts)
		return len(receipts) > 0
	}, patience, time.Millisecond)
	a.do(200, "POST", "/phones/"+boris+"/online", `{"online":false}`, &phone)
	require.Equal(t, false, phone["online"])
	a.do(200, "POST", "/phones/"+anna+"/unlink", `{"device":1}`, &phone)
	require.Empty(t, phone["companions"])
	await[*events.LoggedOut](t, company, nil)
	var phones []map[string]any
	a.do(200, "GET", "/phones", "", &phones)
	require.Len(t, phones, 2)
	a.do(200, "GET", "/phones/"+anna, "", &phone)
	require.Equal(t, "Anna", phone["name"])
}

func TestControlEnterCode(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.phone(t, anna, "Anna")
	company, _ := a.shown(t)
	code, err := company.PairPhone(t.Context(), anna, true, whatsmeow.PairClientChrome, "Chrome (Linux)")
	require.NoError(t, err)
	a.do(200, "POST", "/phones/"+anna+"/enter-code", fmt.Sprintf(`{"code":%q}`, code), nil)
	await[*events.Connected](t, company, nil)
}

func TestControlFaultsStatsAndJournal(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.phone(t, anna, "Anna")
	company := a.pair(t, anna)
	var fault map[string]any
	a.do(201, "POST", "/faults", `{"kind":"slow","phone":"79001234567","device":1,"count":5,"forMs":60000,"delayMs":1,"probability":0.5}`, &fault)
	require.Equal(t, "slow", fault["kind"])
	require.NotZero(t, fault["id"])
	var faults []map[string]any
	a.do(200, "GET", "/faults", "", &faults)
	require.Equal(t, []map[string]any{fault}, faults)
	a.do(204, "DELETE", "/faults", "", nil)
	a.do(200, "GET", "/faults", "", &faults)
	require.Empty(t, faults)
	a.do(201, "POST", "/faults", `{"kind":"drop"}`, nil)
	await[*events.Disconnected](t, company, nil)

	var stats map[string]any
	require.Eventually(t, func() bool {
		a.do(200, "GET", "/stats", "", &stats)
		return stats["connections"].(map[string]any)["open"] == 0.0 //nolint:forcetypeassert // A test.
	}, patience, time.Millisecond)
	for _, key := range []string{"connections", "logins", "frames", "messages", "acks", "duplicates", "byAccount", "unhandled"} {
		require.Contains(t, stats, key)
	}
	require.Empty(t, stats["unhandled"])
	require.Contains(t, stats["byAccount"], anna)

	var rows []map[string]any
	a.do(200, "GET", "/journal", "", &rows)
	opened, closed := 0, 0
	for i, row := range rows {
		require.InDelta(t, i+1, row["n"], 0)
		for _, key := range []string{"t", "connection", "device", "tag"} {
			require.Contains(t, row, key)
		}
		switch row["tag"] {
		case "open":
			opened++
		case "close":
			closed++
		case "success":
			require.Equal(t, anna+":1", row["device"])
			require.Equal(t, "out", row["direction"])
		default:
			require.Contains(t, []any{"in", "out"}, row["direction"])
		}
	}
	require.Equal(t, 2, opened)
	require.Equal(t, 2, closed)
	var rest []map[string]any
	a.do(200, "GET", "/journal?after=3&limit=2", "", &rest)
	require.Equal(t, rows[3:5], rest)
	a.do(200, "GET", "/journal?after=100000", "", &rest)
	require.Empty(t, rest)
}

func TestControlRoot(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	var root struct{ NoiseRoot, CAPEM, Endpoint string }
	a.do(200, "GET", "/root", "", &root)
	require.Equal(t, fmt.Sprintf("%x", a.NoiseRoot()), root.NoiseRoot)
	require.Equal(t, string(a.RootCA()), root.CAPEM)
	require.Equal(t, a.Endpoint(), root.Endpoint)
}

func TestControlErrors(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.phone(t, anna, "Anna")
	own := "/phones/" + anna
	for _, test := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/phones", ``, 400},
		{"POST", "/phones", `{`, 400},
		{"POST", "/phones", `[]`, 400},
		{"POST", "/phones", `{} {}`, 400},
		{"POST", "/phones", `{"phone":7}`, 400},
		{"POST", "/phones", `{"phone":"abc"}`, 400},
		{"POST", "/phones", `{"phone":"79005550000","autodelivery_":false}`, 400},
		{"POST", "/phones", `{"phone":"79001234567"}`, 409},
		{"POST", "/phones", `{"phone":"` + strings.Repeat("7", 100_000) + `"}`, 413},
		{"GET", "/phones/79005550000", ``, 404},
		{"GET", "/phones/79005550000/messages", ``, 404},
		{"GET", "/phones/79005550000/receipts", ``, 404},
		{"POST", own + "/scan", `{"qr":"nonsense"}`, 400},
		{"POST", own + "/scan", `{}`, 400},
		{"POST", "/phones/79005550000/scan", `{"qr":"nonsense"}`, 404},
		{"POST", own + "/enter-code", `{"code":"1"}`, 400},
		{"POST", own + "/enter-code", `{"code":"ABCD-EFGH"}`, 409},
		{"POST", own + "/messages", `{"to":"79005550000","text":"x"}`, 404},
		{"POST", own + "/messages", `{"to":"79001234567"}`, 400},
		{"POST", own + "/messages", `{"to":"79001234567","type":"song"}`, 400},
		{"POST", own + "/messages", `{"to":"79001234567","type":"image"}`, 400},
		{"POST", own + "/messages", `{"to":"79001234567","type":"image","mediaBase64":"***"}`, 400},
		{"POST", "/phones/79005550000/messages", `{"to":"79001234567","text":"x"}`, 404},
		{"POST", own + "/receipts", `{"type":"read","ids":["nothing"]}`, 404},
		{"POST", own + "/receipts", `{"type":"seen","ids":["x"]}`, 400},
		{"POST", own + "/receipts", `{"type":"read"}`, 400},
		{"POST", own + "/unlink", `{"device":1}`, 404},
		{"POST", own + "/unlink", `{}`, 400},
		{"POST", own + "/unlink", `{"device":-1}`, 400},
		{"POST", own + "/online", `{}`, 400},
		{"POST", "/phones/79005550000/online", `{"online":true}`, 404},
		{"POST", "/faults", `{"kind":"fire"}`, 400},
		{"POST", "/faults", `{"kind":"drop","count":-1}`, 400},
		{"POST", "/faults", `{"kind":"drop","phone":"79005550000"}`, 404},
		{"GET", "/journal?after=x", ``, 400},
		{"GET", "/journal?after=-1", ``, 400},
		{"GET", "/journal?limit=x", ``, 400},
		{"GET", "/nothing", ``, 404},
		{"PUT", "/phones", `{}`, 404},
	} {
		status, answer := a.call(test.method, test.path, test.body)
		require.Equal(t, test.want, status, "%s %s %.80s: %s", test.method, test.path, test.body, answer)
		var failure struct{ Error string }
		require.NoError(t, json.Unmarshal([]byte(answer), &failure))
		require.NotEmpty(t, failure.Error)
	}
}

func TestControlMessageForms(t *testing.T) {
	t.Parallel()
	a := startAPI(t)
	a.phone(t, anna, "Anna")
	a.phone(t, boris, "Boris")
	for body, want := range map[string]wasim.Content{
		`"text":"x"`:               {Type: wasim.Text, Text: "x"},
		`"text":"x","replyTo":"M"`: {Type: wasim.Reply, Text: "x", Target: "M"},
		`"type":"reaction","emoji":"👍","messageId":"M"`:                   {Type: wasim.Reaction, Text: "👍", Target: "M"},
		`"type":"poll","question":"?","options":["a","b"],"selectable":1`: {Type: wasim.Poll, Text: "?", Options: []string{"a", "b"}, Selectable: 1},
		`"type":"location","name":"here","latitude":1.5,"longitude":2`:    {Type: wasim.Location, Text: "here", Latitude: 1.5, Longitude: 2},
		`"type":"contact","contact":{"name":"C","phone":"79005550000"}`:   {Type: wasim.Contact, Text: "C", VCard: "BEGIN:VCARD\nVERSION:3.0\nFN:C\nTEL;type=CELL;waid=79005550000:+79005550000\nEND:VCARD"},
		`"type":"revoke","target":"M"`:                                    {Type: wasim.Revoke, Target: "M"},
		`"type":"document","fileName":"a.txt","mediaBase64":"aGVsbG8="`:   {Type: wasim.Document, FileName: "a.txt", MimeType: "text/plain; charset=utf-8"},
	} {
		var sent struct{ ID string }
		a.do(200, "POST", "/phones/"+boris+"/messages", `{"to":"79001234567",`+body+`}`, &sent)
		row, err := a.AwaitMessage(t.Context(), anna, func(m wasim.Message) bool { return m.ID == sent.ID })
		require.NoError(t, err)
		require.Equal(t, want, row.Content)
	}
}
