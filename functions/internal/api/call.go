package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"regexp"

	"wafleet/functions/internal/auth"
)

// call is what one request's handler and the edge tell each other beside the answer.
type call struct {
	requestID string
	accept    string
	base      string      // of our URLs, as the caller knows us
	header    http.Header // of the answer
	principal *auth.Principal

	// For the log.
	companyID string
	code      string
}

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// callOf returns the call of a request that came through the edge.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// A caller's own request id is taken over if it can do no harm in a log.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._:=-]{1,64}$`)

func newCall(w http.ResponseWriter, r *http.Request) *call {
	id := r.Header.Get("X-Request-Id")
	if !requestID.MatchString(id) {
		id = "req_" + rand.Text()
	}
	w.Header().Set("X-Request-Id", id)
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return &call{requestID: id, accept: r.Header.Get("Accept"), base: scheme + "://" + r.Host, header: w.Header()}
}
