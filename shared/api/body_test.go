package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/api"
)

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ body, want string }{
		"nothing":             {``, "body is not one valid JSON document"},
		"null":                {`null`, "body must be an object"},
		"an array":            {`[]`, "body must be an object"},
		"a string":            {`"phone"`, "body must be an object"},
		"half a document":     {`{"phone":"1"`, "body is not one valid JSON document"},
		"two documents":       {`{} {}`, "body is not one valid JSON document"},
		"something after":     {`{}x`, "body is not one valid JSON document"},
		"a comment":           {`{} // optional`, "body is not one valid JSON document"},
		"a trailing comma":    {`{"phone":"1",}`, "body is not one valid JSON document"},
		"a byte order mark":   {"\ufeff{}", "body is not one valid JSON document"},
		"invalid utf-8":       {"{\"phone\":\"\xff\"}", "body is not UTF-8"},
		"utf-16":              {"{\x00}\x00", "body is not one valid JSON document"},
		"unknown":             {`{"phone":"1","colour":"red"}`, "colour is not a known field"},
		"unknown and nested":  {`{"colour":{"a":[1,{"b":2}]}}`, "colour is not a known field"},
		"another spelling":    {`{"PHONE":"1"}`, "PHONE is not a known field"},
		"an empty name":       {`{"":"1"}`, `"" is not a known field`},
		"twice":               {`{"phone":"1","phone":"2"}`, "phone is given twice"},
		"twice, one escaped":  {`{"phone":"1","\u0070hone":"2"}`, "phone is given twice"},
		"a number for string": {`{"phone":79001234567}`, "phone must be a string"},
		"an object":           {`{"phone":{"a":1}}`, "phone must be a string"},
		"too deep":            {`{"phone":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, "body is nested more than 32 deep"},
		"far too deep":        {strings.Repeat("[", 1<<20), "body is nested more than 32 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := api.Decode([]byte(tc.body), new(api.SendRequest))
			var body *api.BodyError
			require.ErrorAs(t, err, &body)
			require.Equal(t, tc.want, err.Error())
		})
	}
}

func TestDecodeNested(t *testing.T) {
	t.Parallel()
	decode := func(body string) error { return api.Decode([]byte(body), new(api.CreateCompanyRequest)) }
	require.EqualError(t, decode(`{"rateLimit":{"burst":1,"perHour":2}}`), "rateLimit.perHour is not a known field")
	require.EqualError(t, decode(`{"rateLimit":{"burst":1,"burst":2}}`), "rateLimit.burst is given twice")
	require.EqualError(t, decode(`{"rateLimit":{"burst":"1"}}`), "rateLimit.burst must be a whole number")
	require.EqualError(t, decode(`{"rateLimit":{"burst":1.5}}`), "rateLimit.burst must be a whole number")
	require.EqualError(t, decode(`{"rateLimit":[]}`), "rateLimit must be an object")
	require.NoError(t, decode(`{"rateLimit":null}`))

	err := api.Decode([]byte(`{"scopes":{"send":true}}`), new(api.CreateKeyRequest))
	require.EqualError(t, err, "scopes must be an array")
	err = api.Decode([]byte(`{"usePairingCode":"yes"}`), new(api.InitializeRequest))
	require.EqualError(t, err, "usePairingCode must be true or false")
}

func TestDecodeKeepsConfigAsItIs(t *testing.T) {
	t.Parallel()
	const config = `{"b":1, "a" : {"x":[1,2],"x":3}, "big":12345678901234567890}`
	var r api.InitializeRequest
	require.NoError(t, api.Decode([]byte(`{"name":"Salon","config":`+config+`}`), &r))
	if string(r.Config) != config {
		t.Fatalf("not byte for byte: %s", r.Config)
	}
	require.Equal(t, "Salon", *r.Name)
	require.Nil(t, r.Phone)

	require.NoError(t, api.Decode([]byte(" {} \n"), &r), "white space around the document is fine")
}

func TestDepthCountsNoBracketsInStrings(t *testing.T) {
	t.Parallel()
	text := strings.Repeat(`[{\"`, 100)
	var r api.SendRequest
	require.NoError(t, api.Decode([]byte(`{"phone":"1","message":"`+text+`"}`), &r))
	require.Equal(t, strings.Repeat(`[{"`, 100), r.Message)

	deep := strings.Repeat("[", 31) + strings.Repeat("]", 31)
	require.NoError(t, api.CheckBody([]byte(`{"config":`+deep+`}`)), "32 levels are allowed")
}

// Whatever is accepted must be accepted by encoding/json too, with the same result, and survive a round trip.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"phone":"79001234567","message":"hi"}`, `{"phone":1}`, `{"a":{"b":[]}}`, `null`, `{"phone":"\ud800"}`, `{"message":"\u0000"}`, `{} {}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got api.SendRequest
		if err := api.Decode(body, &got); err != nil {
			var bodyErr *api.BodyError
			require.ErrorAs(t, err, &bodyErr)
			return
		}
		type plain api.SendRequest
		var want plain
		require.NoError(t, json.Unmarshal(body, &want))
		require.Equal(t, want, plain(got))

		again, err := json.Marshal(got)
		require.NoError(t, err)
		var back api.SendRequest
		require.NoError(t, api.Decode(again, &back))
		require.Equal(t, got, back)
	})
}
