package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Result says in one word how an attempt ended. The set is closed: it labels a metric.
type Result string

// The results.
const (
	Delivered   Result = "delivered"    // 2xx
	Gone        Result = "gone"         // 410: the receiver wants no more
	RateLimited Result = "rate_limited" // 429
	Redirected  Result = "redirected"   // 3xx, which is not followed
	Rejected    Result = "rejected"     // any other 4xx
	ServerError Result = "server_error" // 5xx
	BadStatus   Result = "bad_status"   // a status that HTTP does not have
	TimedOut    Result = "timeout"      // no answer in time
	Blocked     Result = "blocked"      // the address is none that we send to
	Unresolved  Result = "dns"          // the name has no address
	TLSFailed   Result = "tls"          // no trust in the certificate, or no common protocol
	Unreachable Result = "network"      // refused, reset or otherwise broken
)

// Results lists every result.
func Results() []Result {
	return []Result{
		Delivered, Gone, RateLimited, Redirected, Rejected, ServerError, BadStatus, TimedOut, Blocked, Unresolved,
		TLSFailed, Unreachable,
	}
}

// maxRetryAfter bounds how long a receiver can put us off.
const maxRetryAfter = 24 * time.Hour

// Outcome is what one attempt came to.
type Outcome struct {
	Result     Result
	Status     int           // HTTP status, 0 without an answer
	RetryAfter time.Duration // how long the receiver asked us to wait at least; 0 if it did not
	Took       time.Duration
	Err        error // what went wrong below HTTP, for logs; nil with an answer
}

// Delivered says that the receiver took the event.
func (o Outcome) Delivered() bool { return o.Result == Delivered }

// Disables says that the receiver asked for nothing to be sent to this endpoint any more.
func (o Outcome) Disables() bool { return o.Result == Gone }

// Summary is one line for the customer about what went wrong. It never quotes what the other side sent.
func (o Outcome) Summary() string {
	switch o.Result {
	case Delivered:
		return ""
	case Gone:
		return "answered 410: the endpoint was disabled"
	case Redirected:
		return fmt.Sprintf("answered %d: redirects are not followed", o.Status)
	case RateLimited, Rejected, ServerError, BadStatus:
		return fmt.Sprintf("answered %d", o.Status)
	case TimedOut:
		return "no answer in time"
	case Blocked:
		return "the address behind the URL is not allowed as a target"
	case Unresolved:
		return "the host name could not be resolved"
	case TLSFailed:
		return "the TLS handshake failed"
	case Unreachable:
		return "the connection was refused or broke"
	}
	return string(o.Result)
}

// classifyStatus is the one table of HTTP status → result.
func classifyStatus(status int) Result {
	switch {
	case status >= 200 && status <= 299:
		return Delivered
	case status >= 300 && status <= 399:
		return Redirected
	case status == http.StatusGone:
		return Gone
	case status == http.StatusTooManyRequests:
		return RateLimited
	case status >= 400 && status <= 499:
		return Rejected
	case status >= 500 && status <= 599:
		return ServerError
	}
	return BadStatus
}

// classifyError is the one table of what went wrong below HTTP → result. The errors of failed TLS handshakes have no
// type in common, so the caller says that it was one.
func classifyError(err error, inHandshake bool) Result {
	netErr, isNet := errors.AsType[net.Error](err)
	_, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, ErrTargetBlocked):
		return Blocked
	case isNet && netErr.Timeout():
		return TimedOut
	case isDNS:
		return Unresolved
	case inHandshake:
		return TLSFailed
	}
	return Unreachable
}

// retryAfter reads the header in both of its forms, bounded by maxRetryAfter; 0 if there is nothing to honour.
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(header.Get("Retry-After"))
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}
