package webhooktest

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// patience is how long Await waits before it fails the test.
const patience = 20 * time.Second

// Answer is how a Receiver treats one request. The zero value is 204.
type Answer struct {
	Status int         // 0: 204
	Header http.Header // added to the answer
	Body   []byte
	// Hang keeps the request without a byte of answer until the client is gone or the receiver is released.
	Hang bool
	// Drip sends the status and then one byte of body after every such time, without an end.
	Drip time.Duration
}

// Request is one request as it arrived.
type Request struct {
	Header http.Header
	Body   []byte
}

// Receiver is a customer's endpoint. It answers 204 until told otherwise.
type Receiver struct {
	URL string

	server   *httptest.Server
	released chan struct{}
	release  sync.Once

	// mu guards what follows.
	mu       sync.Mutex
	answers  []Answer
	requests []Request
	open     int
	mostOpen int
	arrived  chan struct{} // closed and replaced with each request
}

// New starts a receiver that stops when the test ends.
func New(tb testing.TB) *Receiver {
	tb.Helper()
	r := &Receiver{arrived: make(chan struct{}), released: make(chan struct{})}
	r.server = httptest.NewServer(http.HandlerFunc(r.serve))
	r.URL = r.server.URL
	tb.Cleanup(func() {
		r.Release()
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

// Answer sets the answers to the next requests, in order; the last one stays.
func (r *Receiver) Answer(answers ...Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = answers
}

// Release ends every request that hangs, now and later.
func (r *Receiver) Release() { r.release.Do(func() { close(r.released) }) }

// Requests returns what has arrived so far.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// MostOpen is the highest number of requests that were open at one time.
func (r *Receiver) MostOpen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mostOpen
}

// Await waits until at least n requests have arrived and returns all of them.
func (r *Receiver) Await(tb testing.TB, n int) []Request {
	tb.Helper()
	deadline := time.After(patience)
	for {
		r.mu.Lock()
		requests, arrived := slices.Clone(r.requests), r.arrived
		r.mu.Unlock()
		if len(requests) >= n {
			return requests
		}
		select {
		case <-arrived:
		case <-deadline:
			require.FailNowf(tb, "too few webhooks", "%d of %d arrived in %v", len(requests), n, patience)
		}
	}
}

// IDs returns the webhook-id of each request, in the order of arrival.
func IDs(requests []Request) []string {
	ids := make([]string, len(requests))
	for i, request := range requests {
		ids[i] = request.Header.Get(standardwebhooks.HeaderWebhookID)
	}
	return ids
}

// Verify fails the test unless the request was signed with the secret, as the Standard Webhooks library sees it.
func (q Request) Verify(tb testing.TB, secret string) {
	tb.Helper()
	w, err := standardwebhooks.NewWebhook(secret)
	require.NoError(tb, err)
	require.NoError(tb, w.Verify(q.Body, q.Header))
}

func (r *Receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the client went away
	}
	answer := r.keep(Request{Header: request.Header.Clone(), Body: body})
	defer r.leave()
	if answer.Hang {
		select {
		case <-request.Context().Done():
			return
		case <-r.released:
		}
	}
	maps.Copy(w.Header(), answer.Header)
	if answer.Status == 0 {
		answer.Status = http.StatusNoContent
	}
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // the client may not want all of it
	if answer.Drip > 0 {
		r.drip(w, request, answer.Drip)
	}
}

func (r *Receiver) drip(w http.ResponseWriter, request *http.Request, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	flush := http.NewResponseController(w).Flush
	for {
		if _, err := w.Write([]byte{'.'}); err != nil || flush() != nil {
			return
		}
		select {
		case <-ticker.C:
		case <-request.Context().Done():
			return
		case <-r.released:
			return
		}
	}
}

// keep records a request and returns how to answer it.
func (r *Receiver) keep(request Request) Answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
	r.open++
	r.mostOpen = max(r.mostOpen, r.open)
	close(r.arrived)
	r.arrived = make(chan struct{})
	if len(r.answers) == 0 {
		return Answer{}
	}
	answer := r.answers[0]
	if len(r.answers) > 1 {
		r.answers = r.answers[1:]
	}
	return answer
}

func (r *Receiver) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open--
}
