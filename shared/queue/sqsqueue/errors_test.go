package sqsqueue

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/queue/queuetest"
)

// kinds are the conditions that callers test for.
var kinds = []error{queue.ErrNoQueue, queue.ErrTooLarge, queue.ErrReceiptExpired, queue.ErrUnavailable}

// requireKind requires that err is of that kind and of no other; nil means none.
func requireKind(t *testing.T, want, err error) {
	t.Helper()
	require.Error(t, err)
	for _, kind := range kinds {
		require.Equal(t, kind == want, errors.Is(err, kind), "%v is %v", err, kind) //nolint:errorlint // which of them it is
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	code := func(code string) error { return &smithy.GenericAPIError{Code: code, Message: "message"} }
	for _, c := range []struct {
		err  error
		want error
	}{
		{&types.QueueDoesNotExist{}, queue.ErrNoQueue},
		{code("AWS.SimpleQueueService.NonExistentQueue"), queue.ErrNoQueue},
		{code("com.amazonaws.sqs#QueueDoesNotExist"), queue.ErrNoQueue},
		{&types.ReceiptHandleIsInvalid{}, queue.ErrReceiptExpired},
		{&types.MessageNotInflight{}, queue.ErrReceiptExpired},
		{&types.BatchRequestTooLong{}, queue.ErrTooLarge},
		{&types.RequestThrottled{}, queue.ErrUnavailable},
		{&types.KmsThrottled{}, queue.ErrUnavailable},
		{&types.OverLimit{}, queue.ErrUnavailable},
		{code("ThrottlingException"), queue.ErrUnavailable},
		{code("InternalError"), queue.ErrUnavailable},
		{code("AccessDenied"), nil},
		{errors.New("anything"), nil},
	} {
		requireKind(t, c.want, classify(t.Context(), "send", c.err))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, classify(ctx, "send", code("InternalError")), context.Canceled)
}

func TestEntryErrors(t *testing.T) {
	t.Parallel()
	entry := func(code string, senderFault bool) types.BatchResultErrorEntry {
		return types.BatchResultErrorEntry{Id: aws.String("0"), Code: aws.String(code), SenderFault: senderFault}
	}
	requireKind(t, queue.ErrUnavailable, entryError(entry("InternalError", false)))
	requireKind(t, queue.ErrUnavailable, entryError(entry("SomethingNew", false)))
	requireKind(t, nil, entryError(entry("InvalidMessageContents", true)))
	requireKind(t, queue.ErrReceiptExpired, receiptError(entry("ReceiptHandleIsInvalid", true)))
	requireKind(t, queue.ErrReceiptExpired, receiptError(entry("InvalidParameterValue", true)))
	requireKind(t, queue.ErrUnavailable, receiptError(entry("InternalError", false)))

	failed := make(map[int]error)
	require.NoError(t, note(failed, []types.BatchResultErrorEntry{entry("InternalError", false)}, entryError))
	require.Len(t, failed, 1)
	require.Error(t, note(failed, []types.BatchResultErrorEntry{{Id: aws.String("x")}}, entryError))
}

// fault returns queues on a server that answers like this.
func fault(t *testing.T, handler http.HandlerFunc) *Queue {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	config := testConfig(t)
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	q, err := New(Config{AWS: config, Endpoint: server.URL}, queuetest.Definitions(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return q
}

// answerJSON answers as SQS does.
func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body))
}

func TestThrottledIsUnavailable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{"__type":"com.amazonaws.sqs#RequestThrottled"}`, `{"__type":"ThrottlingException"}`} {
		q := fault(t, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusBadRequest, body) })
		requireKind(t, queue.ErrUnavailable, q.Send(t.Context(), "jobs", queue.Message{Body: []byte("x")}))
		_, err := q.Receive(t.Context(), "jobs", 1, 0, 0)
		requireKind(t, queue.ErrUnavailable, err)
	}
}

func TestServerErrorIsUnavailable(t *testing.T) {
	t.Parallel()
	q := fault(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	requireKind(t, queue.ErrUnavailable, q.Delete(t.Context(), "jobs", []string{"x"}))
}

func TestUnreachableIsUnavailable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	config := testConfig(t)
	config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	q, err := New(Config{AWS: config, Endpoint: server.URL}, queuetest.Definitions(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	requireKind(t, queue.ErrUnavailable, q.Send(t.Context(), "jobs", queue.Message{Body: []byte("x")}))
}

func TestURLIsAskedForOnce(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	q := fault(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.GetQueueUrl" {
			asked.Add(1)
			answerJSON(w, http.StatusOK, `{"QueueUrl":"http://queue/jobs"}`)
			return
		}
		answerJSON(w, http.StatusOK, `{}`)
	})
	for range 3 {
		_, err := q.Receive(t.Context(), "jobs", 1, 0, 0)
		require.NoError(t, err)
	}
	require.EqualValues(t, 1, asked.Load())
}

// A poll that does not end on its own is hung up on when Stop's deadline passes.
func TestStopHangsUpAtItsDeadline(t *testing.T) {
	t.Parallel()
	polling := make(chan struct{})
	q := fault(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") == "AmazonSQS.GetQueueUrl" {
			answerJSON(w, http.StatusOK, `{"QueueUrl":"http://queue/jobs"}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice when the client hangs up
		close(polling)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() {
		_, err := q.Receive(ctx, "jobs", 1, queue.MaxWait, 0)
		result <- err
	}()
	<-polling
	cancel()
	require.ErrorIs(t, <-result, context.Canceled)

	short, cancelStop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelStop()
	require.ErrorIs(t, q.Stop(short), context.DeadlineExceeded)
	require.NoError(t, q.Stop(t.Context()), "nothing is left to wait for")
}
