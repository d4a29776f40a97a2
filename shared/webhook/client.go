package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// AttemptTimeout is the longest an attempt takes, whatever the receiver does.
const AttemptTimeout = 15 * time.Second

const (
	connectTimeout = 5 * time.Second
	// drainTimeout and maxDrained bound what is read of an answer's body, which only serves to use the connection again.
	drainTimeout = time.Second
	maxDrained   = 64 << 10
	// maxAnswerHeader bounds what a receiver can make us hold.
	maxAnswerHeader = 64 << 10
	idleTimeout     = 30 * time.Second
	maxIdlePerHost  = 4
	maxIdle         = 256
	userAgent       = "wafleet-webhooks/1"
)

// ClientConfig is what a Client may be given besides its targets.
type ClientConfig struct {
	// Timeout of a whole attempt; 0 means AttemptTimeout.
	Timeout time.Duration
	// Resolver of host names; nil means the system's.
	Resolver *net.Resolver
}

// Client sends attempts. It is safe for concurrent use.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// NewClient returns a client that sends to nothing but these targets.
func NewClient(targets *Targets, config ClientConfig) *Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: targets.Control, Resolver: config.Resolver}
	return &Client{
		timeout: cmp.Or(config.Timeout, AttemptTimeout),
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:                  nil, // a proxy would dial for us, where Control sees nothing
				DialContext:            dialer.DialContext,
				TLSHandshakeTimeout:    connectTimeout,
				MaxResponseHeaderBytes: maxAnswerHeader,
				MaxIdleConns:           maxIdle,
				MaxIdleConnsPerHost:    maxIdlePerHost,
				IdleConnTimeout:        idleTimeout,
				DisableCompression:     true,
				ForceAttemptHTTP2:      true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Post sends one signed event to the URL and says what came of it. The answer's status decides; its body is ignored.
// When ctx ends first, the outcome carries its error as a broken connection.
func (c *Client) Post(ctx context.Context, to string, signer *Signer, id string, body []byte) Outcome {
	start := time.Now()
	outcome := c.post(ctx, to, signer, id, body)
	outcome.Took = time.Since(start)
	return outcome
}

func (c *Client) post(ctx context.Context, to string, signer *Signer, id string, body []byte) Outcome {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var handshakeFailed atomic.Bool // the transport dials in a goroutine of its own
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { handshakeFailed.Store(err != nil) },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return Outcome{Result: Unreachable, Err: fmt.Errorf("make request: %w", withoutURL(err))}
	}
	request.Header.Set("Content-Type", ContentType)
	request.Header.Set("User-Agent", userAgent)
	if err := signer.Sign(request.Header, id, time.Now(), body); err != nil {
		return Outcome{Result: Unreachable, Err: err}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Outcome{Result: classifyError(err, handshakeFailed.Load()), Err: withoutURL(err)}
	}
	defer func() { _ = response.Body.Close() }() // the status has been heard
	drain(response.Body, cancel)
	return Outcome{
		Result:     classifyStatus(response.StatusCode),
		Status:     response.StatusCode,
		RetryAfter: retryAfter(response.Header, time.Now()),
	}
}

// drain reads a little of a body, so that the connection can serve the next attempt. A body that is long or slow costs
// its connection instead: what the status said stands, so an error changes nothing.
func drain(body io.Reader, cancel context.CancelFunc) {
	timer := time.AfterFunc(drainTimeout, cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, body, maxDrained)
}

// withoutURL takes the URL out of an error, because its query may hold the customer's token.
func withoutURL(err error) error {
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		return urlErr.Err
	}
	return err
}
