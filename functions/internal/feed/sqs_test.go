package feed_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/stretchr/testify/require"

	"wafleet/functions/internal/feed"
	"wafleet/shared/queue"
	"wafleet/shared/queue/sqsqueue"
)

// impatient does not wait for long, so that a test ends soon.
type impatient struct{ *sqsqueue.Queue }

func (q impatient) Receive(ctx context.Context, name string, most int, _, visibility time.Duration) ([]queue.Received, error) {
	return q.Queue.Receive(ctx, name, most, time.Second, visibility)
}

// A producer writes to the public queue of an SQS; the batch and its job go through the same SQS.
func TestBulkOverSQS(t *testing.T) {
	t.Parallel()
	url := os.Getenv("TEST_SQS_URL")
	if url == "" {
		const reason = "TEST_SQS_URL is not set: run `make test`, which starts an SQS server for the tests"
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(reason)
		}
		t.Skip(reason)
	}
	b := setup(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	q, err := sqsqueue.New(sqsqueue.Config{
		AWS: aws.Config{
			Region: "eu-west-1", HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
		},
		Endpoint: url, Prefix: "t" + rand.Text() + "-",
	}, queue.Definitions(0), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, q.Ensure(t.Context(), queue.Definitions(0)))
	feeder, err := feed.New(feed.Deps{
		Store: b.store, Vault: b.vault, Queue: q, Nudger: b.nudges, IDs: b.ids, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	w := feed.NewWorker(impatient{q}, feeder.Handlers(), slog.New(slog.DiscardHandler))
	require.NoError(t, w.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 2*queue.MaxWait)
		defer cancel()
		require.NoError(t, w.Stop(ctx))
		require.NoError(t, q.Stop(ctx))
	})
	for range 2 {
		require.NoError(t, q.Send(t.Context(), queue.Bulk, queue.Message{Body: []byte(bulk("k1", 600))}))
	}
	b.await(t, 600, `SELECT count(*) FROM messages WHERE status = 'queued'`)
	b.await(t, 1, `SELECT count(*) FROM batches WHERE fed_at IS NOT NULL`)
}
