package message_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
)

func TestContentValidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		content message.Content
		want    error
	}{
		"text":            {message.Content{Kind: message.Text, Text: "hi"}, nil},
		"longest":         {message.Content{Kind: message.Text, Text: strings.Repeat("я", 4096)}, nil},
		"one too long":    {message.Content{Kind: message.Text, Text: strings.Repeat("я", 4097)}, message.ErrTextTooLong},
		"empty":           {message.Content{Kind: message.Text}, message.ErrEmptyText},
		"only white":      {message.Content{Kind: message.Text, Text: " \n\t\u00a0"}, message.ErrEmptyText},
		"no kind":         {message.Content{Text: "hi"}, message.ErrUnknownKind},
		"unknown kind":    {message.Content{Kind: "fax", Text: "hi"}, message.ErrUnknownKind},
		"emoji count one": {message.Content{Kind: message.Text, Text: strings.Repeat("😀", 4096)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorIs(t, tc.content.Validate(), tc.want)
		})
	}
}

func TestContentRoundTrip(t *testing.T) {
	t.Parallel()
	in := message.Content{Kind: message.Text, Text: "<b>&\u2028 \"quoted\""}
	b, err := in.Encode()
	require.NoError(t, err)
	out, err := message.DecodeContent(b)
	require.NoError(t, err)
	require.Equal(t, in, out)

	_, err = message.DecodeContent([]byte("{"))
	require.Error(t, err)
}

func TestHashCoversWhatIsSent(t *testing.T) {
	t.Parallel()
	hash := func(to, text string, options any) string {
		b, err := message.Content{Kind: message.Text, Text: text}.Hash(to, options)
		require.NoError(t, err)
		return string(b)
	}
	same := hash("79001234567", "hi", nil)
	require.Equal(t, same, hash("79001234567", "hi", nil))
	require.NotEqual(t, same, hash("79001234568", "hi", nil))
	require.NotEqual(t, same, hash("79001234567", "hi!", nil))
	require.NotEqual(t, same, hash("79001234567", "hi", map[string]int{"ttl": 1}))
}

func FuzzDecodeEnvelope(f *testing.F) {
	good, err := message.Envelope{CompanyID: "a", MessageID: "3EB0", Body: []byte{1}}.Encode()
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"companyId":"a b"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := message.DecodeEnvelope(b)
		if err != nil {
			require.ErrorIs(t, err, message.ErrBadEnvelope)
			return
		}
		again, err := e.Encode()
		require.NoError(t, err)
		back, err := message.DecodeEnvelope(again)
		require.NoError(t, err)
		require.Equal(t, e, back)
	})
}

func TestBadEnvelopes(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `null`, `{}`, `{"companyId":"a"}`, `{"companyId":"a","messageId":"m"}`, `{"companyId":"a/b","messageId":"m","body":"AQ=="}`, `{"companyId":1}`} {
		_, err := message.DecodeEnvelope([]byte(bad))
		require.ErrorIs(t, err, message.ErrBadEnvelope, bad)
	}
	require.NotEqual(t, message.BodyContext("m"), message.WireContext("m"))
}
