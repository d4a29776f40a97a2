package stanza_test

import (
	"bytes"
	"compress/zlib"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.mau.fi/whatsmeow/binary"
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/stanza"
)

// sample has every kind of value that the codec knows.
func sample() stanza.Node {
	return stanza.New("iq", stanza.Attrs{
		"id": "1234.5-6", "hex": "ABCDEF", "xmlns": "encrypt", "free": "größer", "n": 17,
		"jid": types.NewJID("79001234567", types.DefaultUserServer), "server": types.ServerJID,
		"ad":  types.JID{User: "79001234567", Device: 3, Server: types.DefaultUserServer},
		"lid": types.JID{User: "123456789012345", Device: 3, Server: types.HiddenUserServer},
	},
		stanza.New("empty", nil),
		stanza.Leaf("bytes", []byte{0, 1, 2}),
		stanza.Leaf("long", bytes.Repeat([]byte("x"), 300)),
		stanza.Leaf("longer", bytes.Repeat([]byte("x"), 1<<20)),
		stanza.Node{Tag: "digits", Content: "12345"},
		stanza.New("list", nil, stanza.New("a", nil, stanza.New("b", stanza.Attrs{"c": "d"}))))
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	frame, err := stanza.Encode(sample())
	require.NoError(t, err)
	node, err := stanza.Decode(frame)
	require.NoError(t, err)
	require.Equal(t, "1234.5-6", stanza.Str(*node, "id"))
	require.Equal(t, 17, stanza.Int(*node, "n"))
	require.Equal(t, "79001234567:3@s.whatsapp.net", stanza.Str(*node, "ad"))
	require.Equal(t, types.HiddenUserServer, stanza.JID(*node, "lid").Server)
	require.True(t, stanza.Has(*node, "empty"))
	require.False(t, stanza.Has(*node, "absent"))
	require.Equal(t, []byte{0, 1, 2}, stanza.Bytes(stanza.Child(*node, "bytes")))
	require.Len(t, stanza.Bytes(stanza.Child(*node, "longer")), 1<<20)
	require.Equal(t, "12345", stanza.Text(stanza.Child(*node, "digits")), "comes back as text, not bytes")
	require.Equal(t, "d", stanza.Str(stanza.Child(stanza.Child(stanza.Child(*node, "list"), "a"), "b"), "c"))
}

func TestCompressed(t *testing.T) {
	t.Parallel()
	frame, err := stanza.Encode(stanza.New("ib", stanza.Attrs{"id": "1"}))
	require.NoError(t, err)
	node, err := stanza.Decode(deflate(t, frame[1:]))
	require.NoError(t, err)
	require.Equal(t, "ib", node.Tag)
	_, err = stanza.Decode(deflate(t, make([]byte, 9<<20)))
	require.ErrorIs(t, err, stanza.ErrMalformed)
}

func deflate(t testing.TB, body []byte) []byte {
	t.Helper()
	var frame bytes.Buffer
	frame.WriteByte(2)
	packer := zlib.NewWriter(&frame)
	_, err := packer.Write(body)
	require.NoError(t, err)
	require.NoError(t, packer.Close())
	return frame.Bytes()
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	whole, err := stanza.Encode(stanza.New("iq", stanza.Attrs{"id": "1"}, stanza.Leaf("a", []byte("bc"))))
	require.NoError(t, err)
	for cut := range whole {
		_, err := stanza.Decode(whole[:cut])
		require.ErrorIs(t, err, stanza.ErrMalformed, cut)
	}
	for name, frame := range map[string][]byte{
		"too long":          append(bytes.Clone(whole), 0),
		"deep nodes":        append([]byte{0}, bytes.Repeat([]byte{248, 2, 3, 248, 1}, 1000)...),
		"deep addresses":    append([]byte{0, 248, 3, 3, 3}, bytes.Repeat([]byte{250}, 1000)...),
		"list of nothing":   {0, 249, 0xff, 0xff, 3},
		"no tag":            {0, 248, 0},
		"address as tag":    {0, 248, 1, 250, 0, 3},
		"list as attribute": {0, 248, 3, 3, 3, 248, 1, 248, 1, 3},
	} {
		_, err := stanza.Decode(frame)
		require.ErrorIs(t, err, stanza.ErrMalformed, name)
	}
}

func TestAbsentIsEmpty(t *testing.T) {
	t.Parallel()
	var none stanza.Node
	require.Empty(t, stanza.Str(none, "x"))
	require.Zero(t, stanza.Int(none, "x"))
	require.True(t, stanza.JID(none, "x").IsEmpty())
	require.Nil(t, stanza.Bytes(none))
	require.Empty(t, stanza.Child(none, "x").Tag)
	require.Empty(t, stanza.Children(none))
	odd := stanza.New("a", stanza.Attrs{"jid": "1.2.3@x", "text": "79001234567@s.whatsapp.net", "n": "x"})
	require.True(t, stanza.JID(odd, "jid").IsEmpty())
	require.Equal(t, "79001234567", stanza.JID(odd, "text").User)
	require.Zero(t, stanza.Int(odd, "n"))
	require.Equal(t, "1", stanza.Unix(time.Unix(1, 0)))
}

func FuzzDecode(f *testing.F) {
	frame, err := stanza.Encode(stanza.New("iq", stanza.Attrs{"id": "1", "jid": types.NewJID("79", "lid")}, stanza.Leaf("a", []byte("b"))))
	require.NoError(f, err)
	f.Add(frame)
	f.Add(deflate(f, frame[1:]))
	f.Add([]byte{0, 248, 4, 3, 3, 255, 130, 18, 248, 1, 248, 1, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		node, err := stanza.Decode(data)
		if err != nil {
			require.ErrorIs(t, err, stanza.ErrMalformed)
			return
		}
		if data[0]&2 == 0 { // The check must agree with the codec on what it lets pass.
			_, err := binary.Unmarshal(data[1:])
			require.NoError(t, err)
		}
		require.NotEmpty(t, node.Tag)
	})
}
