package batch //nolint:testpackage // what a request is made into is stored, and nobody else sees it

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store"
)

func raws(rows ...string) []json.RawMessage {
	all := make([]json.RawMessage, len(rows))
	for i, row := range rows {
		all[i] = json.RawMessage(row)
	}
	return all
}

func request(text string, rows ...string) Request {
	return Request{CompanyID: "962302", Template: contract.BatchTemplate{Type: "text", Text: text}, Recipients: raws(rows...)}
}

func TestRowsAreCheckedOneByOne(t *testing.T) {
	t.Parallel()
	for row, want := range map[string]string{
		`{"to":"79001234567","fields":{"name":"Anna"}}`:                "",
		`{"to":"+7 (900) 123-45-67","fields":{"name":7,"x":true}}`:     "",
		`{"to":"79001234567","fields":{"name":"Anna","name":"Boris"}}`: "", // the last one counts, as in any map
		`{"to":"79001234567"}`:                              `fields: "name" is missing`,
		`{"to":"79001234567","fields":null}`:                `fields: "name" is missing`,
		`{"to":"79001234567","fields":{"name":null}}`:       `fields: "name" must be a string, a number, true or false`,
		`{"to":"79001234567","fields":{"name":["a"]}}`:      `fields: "name" must be a string, a number, true or false`,
		`{"to":"79001234567","fields":{"name":"a","y":{}}}`: `fields: "y" must be a string, a number, true or false`,
		`{"to":"79001234567","fields":["Anna"]}`:            "fields must be an object",
		`{"to":"790","fields":{"name":"a"}}`:                "to: phone number must have 10 to 15 digits",
		`{"to":79001234567,"fields":{"name":"a"}}`:          "to must be a string",
		`{"fields":{"name":"a"}}`:                           "to: phone number must have 10 to 15 digits",
		`{"to":"79001234567","To":"1"}`:                     "To is not a known field",
		`{"to":"79001234567","to":"79001234568"}`:           "to is given twice",
		`"79001234567"`:                                     "row must be an object",
		`null`:                                              "row must be an object",
		`[]`:                                                "row must be an object",
		`{"to":"79001234567","fields":{"name":"` + strings.Repeat("я", 4095) + `"}}`: "template: message must have at most 4096 characters",
	} {
		n, err := request("Hi {{name}}", row, `{"to":"79001234567","fields":{"name":"good"}}`).check()
		require.NoError(t, err, row)
		if want == "" {
			require.Empty(t, n.Invalid, row)
			require.Equal(t, 2, n.Chunks[0].Rows)
			continue
		}
		require.Equal(t, []store.InvalidRow{{Row: 1, Code: "VALIDATION_ERROR", Message: want}}, n.Invalid, row)
		require.Equal(t, 2, n.Chunks[0].FirstRow, "the other row goes on")
	}
}

func TestARowIsStoredAsItWillBeSent(t *testing.T) {
	t.Parallel()
	n, err := request("{{a}} {{b}} {{c}}", `{"to":"+7900 1234567","fields":{"a":"1e3","b":1e3,"c":false,"unused":"secret"}}`).check()
	require.NoError(t, err)
	require.JSONEq(t, `[{"row":1,"to":"79001234567","fields":{"a":"1e3","b":"1e3","c":"false"}}]`, string(n.Chunks[0].Recipients))
	require.Equal(t, 7*24*time.Hour, n.TTL)
}

func TestRowsGoIntoChunks(t *testing.T) {
	t.Parallel()
	rows := make([]string, MaxRecipients)
	for i := range rows {
		rows[i] = fmt.Sprintf(`{"to":"7900%07d"}`, i)
	}
	rows[0], rows[700] = `{}`, `{}`
	n, err := request("hi", rows...).check()
	require.NoError(t, err)
	require.Len(t, n.Chunks, 20)
	require.Equal(t, []int{2, 500, 502, 500, 9503, 498}, []int{
		n.Chunks[0].FirstRow, n.Chunks[0].Rows, n.Chunks[1].FirstRow, n.Chunks[1].Rows, n.Chunks[19].FirstRow, n.Chunks[19].Rows,
	})
	require.Len(t, n.Invalid, 2)
	require.Equal(t, 701, n.Invalid[1].Row)
}

func TestWhatIsWrongWithAWholeBatch(t *testing.T) {
	t.Parallel()
	row := `{"to":"79001234567"}`
	ptr := func(n int) *int { return &n }
	text := func(s string) *string { return &s }
	for name, tc := range map[string]struct {
		change func(*Request)
		field  string // empty: it is fine
	}{
		"fine":    {func(*Request) {}, ""},
		"no rows": {func(r *Request) { r.Recipients = nil }, "recipients"},
		"as many as it gets": {func(r *Request) {
			r.Recipients = raws(strings.Split(strings.Repeat(row+"\n", 10_000), "\n")[:10_000]...)
		}, ""},
		"one too many": {func(r *Request) {
			r.Recipients = raws(strings.Split(strings.Repeat(row+"\n", 10_001), "\n")[:10_001]...)
		}, "recipients"},
		"unknown kind": {func(r *Request) { r.Template.Type = "fax" }, "template.type"},
		"no kind":      {func(r *Request) { r.Template.Type = "" }, "template.type"},
		"no text":      {func(r *Request) { r.Template.Text = " " }, "template"},
		"long text":    {func(r *Request) { r.Template.Text = strings.Repeat("a", 4097) }, "template"},
		"open field":   {func(r *Request) { r.Template.Text = "{{a" }, "template.text"},
		"longest name": {func(r *Request) { r.Name = text(strings.Repeat("я", 255)) }, ""},
		"long name":    {func(r *Request) { r.Name = text(strings.Repeat("я", 256)) }, "name"},
		"longest key":  {func(r *Request) { r.Key = text(strings.Repeat("k", 255)) }, ""},
		"long key":     {func(r *Request) { r.Key = text(strings.Repeat("k", 256)) }, "Idempotency-Key"},
		"empty key":    {func(r *Request) { r.Key = text("") }, "Idempotency-Key"},
		"shortest ttl": {func(r *Request) { r.TTL = ptr(1) }, ""},
		"no ttl":       {func(r *Request) { r.TTL = ptr(0) }, "ttl"},
		"longest ttl":  {func(r *Request) { r.TTL = ptr(30 * 86400) }, ""},
		"ttl too long": {func(r *Request) { r.TTL = ptr(30*86400 + 1) }, "ttl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("hi", row)
			tc.change(&r)
			_, err := r.check()
			if tc.field == "" {
				require.NoError(t, err)
				return
			}
			var p *problem.Problem
			require.ErrorAs(t, err, &p)
			require.Equal(t, problem.Validation.Code, p.Code)
			require.Equal(t, tc.field, p.Details["field"])
		})
	}
}

// A report can be stored and read whatever the row was.
func TestAReportIsBounded(t *testing.T) {
	t.Parallel()
	n, err := request("hi", `{"`+strings.Repeat("\\u0000я", 1000)+`":1}`).check()
	require.NoError(t, err)
	require.NotContains(t, n.Invalid[0].Message, "\x00")
	require.LessOrEqual(t, len(n.Invalid[0].Message), maxReport+len("…"))
}

// What the hash covers is what makes a repeated call another one.
func TestHashes(t *testing.T) {
	t.Parallel()
	key, name, ttl := "k", "n", 5
	base := request("hi", `{"to":"79001234567"}`)
	base.Key = &key
	_, same, err := base.hashes()
	require.NoError(t, err)
	for _, change := range []func(*Request){
		func(r *Request) { r.Name = &name }, func(r *Request) { r.TTL = &ttl }, func(r *Request) { r.Template.Text = "ho" },
		func(r *Request) { r.Recipients = raws(`{"to":"79001234568"}`) },
	} {
		other := base
		change(&other)
		_, hash, err := other.hashes()
		require.NoError(t, err)
		require.NotEqual(t, same, hash)
	}
	spaced := base
	spaced.Recipients = raws(`{ "to" : "79001234567" }`)
	_, hash, err := spaced.hashes()
	require.NoError(t, err)
	require.Equal(t, same, hash, "white space says nothing")
}

func FuzzRecipient(f *testing.F) {
	f.Add(`{"to":"79001234567","fields":{"name":"Anna"}}`)
	f.Add(`{"to":"79001234567","fields":{"name":1}}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, row string) {
		if !json.Valid([]byte(row)) {
			return // the edge has refused the body
		}
		r, err := readRecipient(1, json.RawMessage(row), map[string]bool{"name": true})
		if err != nil {
			return
		}
		require.Regexp(t, `^[0-9]{10,15}$`, r.To)
		text, err := json.Marshal(r)
		require.NoError(t, err)
		var back Recipient
		require.NoError(t, json.Unmarshal(text, &back))
	})
}

func TestJobs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `{}`, `[]`, `{"companyId":"962302"}`, `{"companyId":"a/b","batchId":"bat_1"}`, `{"companyId":1,"batchId":"bat_1"}`} {
		_, err := DecodeJob([]byte(bad))
		require.ErrorIs(t, err, ErrBadJob, bad)
	}
	m, err := Job{CompanyID: "962302", BatchID: "bat_1"}.message()
	require.NoError(t, err)
	require.Equal(t, "962302", m.Group)
	job, err := DecodeJob(m.Body)
	require.NoError(t, err)
	require.Equal(t, Job{CompanyID: "962302", BatchID: "bat_1"}, job)
}
