package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestCheckMessage(t *testing.T) {
	t.Parallel()
	var (
		fifo     = Definition{Name: "jobs.fifo"}
		standard = Definition{Name: "jobs"}
		name     = strings.Repeat("n", MaxName)
		body     = []byte("{\"text\":\"Привет\\n\"}")
	)
	cases := []struct {
		name       string
		definition Definition
		message    Message
		// argument is the one that a MisuseError has to name; empty if the message is sound.
		argument string
	}{
		{"fifo", fifo, Message{Group: "a", DedupID: "b", Body: body}, ""},
		{"longest names", fifo, Message{Group: name, DedupID: name, Body: body}, ""},
		{"every punctuation", fifo, Message{Group: "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", DedupID: "b", Body: body}, ""},
		{"standard", standard, Message{Body: body}, ""},
		{"standard with group", standard, Message{Group: "a", Body: body}, ""},
		{"longest delay", standard, Message{Delay: MaxDelay, Body: body}, ""},
		{"white space", standard, Message{Body: []byte("\t\r\n ")}, ""},

		{"no group", fifo, Message{DedupID: "b", Body: body}, "Group"},
		{"no dedup id", fifo, Message{Group: "a", Body: body}, "DedupID"},
		{"delay on fifo", fifo, Message{Group: "a", DedupID: "b", Delay: 1, Body: body}, "Delay"},
		{"dedup id on standard", standard, Message{DedupID: "b", Body: body}, "DedupID"},
		{"delay too long", standard, Message{Delay: MaxDelay + 1, Body: body}, "Delay"},
		{"negative delay", standard, Message{Delay: -1, Body: body}, "Delay"},
		{"group too long", fifo, Message{Group: name + "n", DedupID: "b", Body: body}, "Group"},
		{"space in group", fifo, Message{Group: "a b", DedupID: "b", Body: body}, "Group"},
		{"letter outside ascii", fifo, Message{Group: "a", DedupID: "ё", Body: body}, "DedupID"},
		{"no body", standard, Message{}, "Body"},
		{"control character", standard, Message{Body: []byte("a\x01")}, "Body"},
		{"not utf-8", standard, Message{Body: []byte("a\xc3")}, "Body"},
		{"not a character", standard, Message{Body: []byte("\uffff")}, "Body"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := c.definition.Check(c.message)
			if c.argument == "" {
				require.NoError(t, err)
				return
			}
			var misuse *MisuseError
			require.ErrorAs(t, err, &misuse)
			require.Equal(t, c.argument, misuse.Argument)
			require.Contains(t, err.Error(), c.argument+" ")
		})
	}
}

func TestCheckSize(t *testing.T) {
	t.Parallel()
	d := Definition{Name: "jobs"}
	require.NoError(t, d.Check(Message{Body: bytes.Repeat([]byte("x"), MaxBody)}))
	require.ErrorIs(t, d.Check(Message{Body: bytes.Repeat([]byte("x"), MaxBody+1)}), ErrTooLarge)
}

func TestCheckRanges(t *testing.T) {
	t.Parallel()
	require.NoError(t, CheckReceive(1, 0, 0))
	require.NoError(t, CheckReceive(MaxBatch, MaxWait, MaxVisibility))
	require.NoError(t, CheckBatch(1))
	require.NoError(t, CheckBatch(MaxBatch))
	for _, err := range []error{
		CheckReceive(0, 0, 0), CheckReceive(MaxBatch+1, 0, 0), CheckReceive(1, -1, 0), CheckReceive(1, MaxWait+1, 0),
		CheckReceive(1, 0, -1), CheckReceive(1, 0, MaxVisibility+1), CheckVisibility(-time.Second), CheckBatch(0), CheckBatch(MaxBatch + 1),
	} {
		var misuse *MisuseError
		require.ErrorAs(t, err, &misuse)
	}
}

func TestBatchError(t *testing.T) {
	t.Parallel()
	require.NoError(t, Batch(nil))
	require.NoError(t, Batch(map[int]error{}))

	other := errors.New("other")
	err := Batch(map[int]error{7: ErrUnavailable, 2: other})
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, other)
	require.NotErrorIs(t, err, ErrReceiptExpired)
	require.EqualError(t, err, "2 entries failed, the first is 2: other")
	var partial *BatchError
	require.ErrorAs(t, err, &partial)
	require.Equal(t, []error{other, ErrUnavailable}, partial.Unwrap())
}

// What is accepted has to survive a JSON string unchanged, because that is how it travels to SQS.
func FuzzIsText(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x00", "\xff", "\ufffd", "\ufffe", "\U0001F642", "\xed\xa0\x80"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !isText(body) {
			return
		}
		require.True(t, utf8.Valid(body))
		encoded, err := json.Marshal(string(body))
		require.NoError(t, err)
		var back string
		require.NoError(t, json.Unmarshal(encoded, &back))
		require.Equal(t, string(body), back)
	})
}
