package sqsqueue

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	d := queue.Definition{Name: "jobs"}
	sized := func(sizes ...int) []queue.Message {
		messages := make([]queue.Message, len(sizes))
		for i, size := range sizes {
			messages[i].Body = bytes.Repeat([]byte("x"), size)
		}
		return messages
	}
	for _, c := range []struct {
		sizes  []int
		want   [][]int
		failed []int
	}{
		{[]int{1, 1, 1}, [][]int{{0, 1, 2}}, nil},
		{[]int{queue.MaxBody}, [][]int{{0}}, nil},
		{[]int{queue.MaxBody - 1, 1, 1}, [][]int{{0, 1}, {2}}, nil},
		{[]int{queue.MaxBody, queue.MaxBody}, [][]int{{0}, {1}}, nil},
		{[]int{1, queue.MaxBody + 1, 0, 1}, [][]int{{0, 3}}, []int{1, 2}},
		{[]int{0}, nil, []int{0}},
	} {
		failed := make(map[int]error)
		require.Equal(t, c.want, split(d, sized(c.sizes...), failed), "%v", c.sizes)
		require.Len(t, failed, len(c.failed))
		for _, i := range c.failed {
			require.Error(t, failed[i])
		}
	}
}

func TestSeconds(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 0, seconds(0))
	require.EqualValues(t, 1, seconds(1))
	require.EqualValues(t, 1, seconds(time.Second))
	require.EqualValues(t, 2, seconds(time.Second+1))
	require.EqualValues(t, 43_200, seconds(queue.MaxVisibility))
}

func TestRead(t *testing.T) {
	t.Parallel()
	require.Equal(t, queue.Received{
		Handle: "handle", Group: "a", DedupID: "b", Body: []byte("body"), Receives: 3, SentAt: time.UnixMilli(1_700_000_000_123),
	}, read(types.Message{
		ReceiptHandle: aws.String("handle"), Body: aws.String("body"), Attributes: map[string]string{
			"MessageGroupId": "a", "MessageDeduplicationId": "b", "ApproximateReceiveCount": "3", "SentTimestamp": "1700000000123",
		},
	}))
	require.Equal(t, queue.Received{Body: []byte{}}, read(types.Message{}), "a server may leave everything out")
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	all := queue.Definitions(1)
	byName := make(map[string]queue.Definition)
	for _, d := range all {
		byName[d.Name] = d
	}
	sends, err := attributesOf(byName[queue.Sends(0)], "arn:dead")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"FifoQueue":              "true",
		"DeduplicationScope":     "messageGroup",
		"FifoThroughputLimit":    "perMessageGroupId",
		"MaximumMessageSize":     "1048576",
		"MessageRetentionPeriod": "345600",
		"RedrivePolicy":          `{"deadLetterTargetArn":"arn:dead","maxReceiveCount":10}`,
		"VisibilityTimeout":      "30",
	}, sends)
	dead, err := attributesOf(byName[queue.DeadLetters(queue.Bulk)], "")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"MaximumMessageSize": "1048576", "MessageRetentionPeriod": "1209600", "VisibilityTimeout": "180",
	}, dead)
}

func TestNewChecksDefinitions(t *testing.T) {
	t.Parallel()
	_, err := New(Config{}, []queue.Definition{{Name: "jobs"}}, slog.New(slog.DiscardHandler))
	var misuse *queue.MisuseError
	require.ErrorAs(t, err, &misuse)
}

// doer is an HTTP client that only looks at the request.
type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

func TestRequestBodiesCanOnlyBeRead(t *testing.T) {
	t.Parallel()
	var seen io.ReadCloser
	client := httpClient{doer(func(r *http.Request) (*http.Response, error) {
		seen = r.Body
		return nil, io.ErrUnexpectedEOF
	})}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://queue", strings.NewReader("body"))
	require.NoError(t, err)
	require.Implements(t, (*io.WriterTo)(nil), request.Body, "else this proves nothing")
	response, err := client.Do(request)
	if response != nil {
		require.NoError(t, response.Body.Close())
	}
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, writes := seen.(io.WriterTo)
	require.False(t, writes)
	text, err := io.ReadAll(seen)
	require.NoError(t, err)
	require.Equal(t, "body", string(text))
}
