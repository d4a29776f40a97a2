package sqsqueue

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
)

// servers reads TEST_SQS_URL, a comma-separated list of name=URL. A URL without a name is that of an ElasticMQ.
func servers(t *testing.T) map[string]string {
	t.Helper()
	value := os.Getenv("TEST_SQS_URL")
	if value == "" {
		const reason = "TEST_SQS_URL is not set: run `make test`, which starts an SQS server for the tests"
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	urls := make(map[string]string)
	for entry := range strings.SplitSeq(value, ",") {
		name, url, named := strings.Cut(entry, "=")
		if !named {
			name, url = "elasticmq", entry
		}
		urls[strings.TrimSpace(name)] = strings.TrimSpace(url)
	}
	return urls
}

// connect makes the suite's queues on a server, under a prefix of their own.
func connect(t *testing.T, url string) *Queue {
	t.Helper()
	q, err := New(Config{AWS: testConfig(t), Endpoint: url, Prefix: "t" + rand.Text() + "-"},
		queuetest.Definitions(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*queue.MaxWait)
		defer cancel()
		require.NoError(t, q.Stop(ctx))
		remove(ctx, t, q)
	})
	require.NoError(t, q.Ensure(t.Context(), queuetest.Definitions()))
	return q
}

// remove deletes the queues with what is in them: emulators keep everything in memory.
func remove(ctx context.Context, t *testing.T, q *Queue) {
	t.Helper()
	for _, d := range queuetest.Definitions() {
		in, err := q.find(ctx, d.Name)
		require.NoError(t, err)
		_, err = q.client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: in.url})
		require.NoError(t, err)
	}
}

// testConfig has connections of its own, which are closed with the test.
func testConfig(t *testing.T) aws.Config {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return aws.Config{
		Region:      "eu-west-1",
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient:  &http.Client{Transport: transport, Timeout: time.Minute},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, url := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			queuetest.Run(t, func(t *testing.T) queuetest.Harness {
				t.Helper()
				return queuetest.Harness{Queue: connect(t, url), Server: name}
			})
		})
	}
}
