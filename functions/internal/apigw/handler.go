package apigw

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// Handler is what lambda.Start takes.
type Handler func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error)

// Wrap returns the Lambda handler that answers events as h answers requests.
func Wrap(h http.Handler) Handler {
	return func(ctx context.Context, event events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		r, err := request(ctx, event)
		if err != nil {
			return events.APIGatewayV2HTTPResponse{}, err
		}
		w := &answer{header: http.Header{}, status: http.StatusOK}
		h.ServeHTTP(w, r)
		return w.response(), nil
	}
}

// request is the event as an HTTP request.
func request(ctx context.Context, event events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	var body io.Reader = strings.NewReader(event.Body)
	length := int64(len(event.Body))
	if event.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(event.Body)
		if err != nil {
			return nil, fmt.Errorf("decode body of event: %w", err)
		}
		body, length = bytes.NewReader(decoded), int64(len(decoded))
	}
	target := url.URL{Path: path(event), RawQuery: event.RawQueryString}
	if unescaped, err := url.PathUnescape(target.Path); err == nil && unescaped != target.Path {
		target.Path, target.RawPath = unescaped, target.Path
	}
	r, err := http.NewRequestWithContext(ctx, event.RequestContext.HTTP.Method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request of event: %w", err)
	}
	for name, value := range event.Headers {
		r.Header.Set(name, value) // several values of one header come joined by commas
	}
	if len(event.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(event.Cookies, "; "))
	}
	if r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", event.RequestContext.RequestID)
	}
	r.ContentLength, r.RequestURI = length, target.RequestURI()
	r.Host = event.RequestContext.DomainName
	r.RemoteAddr = net.JoinHostPort(event.RequestContext.HTTP.SourceIP, "0")
	return r, nil
}

// path is the path without the stage, which API Gateway puts in front unless it is the default one.
func path(event events.APIGatewayV2HTTPRequest) string {
	stage := event.RequestContext.Stage
	if stage == "" || stage == "$default" {
		return event.RawPath
	}
	if rest, ok := strings.CutPrefix(event.RawPath, "/"+stage); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimPrefix(rest, "/")
	}
	return event.RawPath
}

// answer collects what the handler writes.
type answer struct {
	header http.Header
	status int
	wrote  bool
	body   bytes.Buffer
}

var _ http.ResponseWriter = (*answer)(nil)

// Header returns the header.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader sets the status; the first call counts.
func (a *answer) WriteHeader(status int) {
	if !a.wrote {
		a.status, a.wrote = status, true
	}
}

// Write adds to the body.
func (a *answer) Write(b []byte) (int, error) {
	a.wrote = true
	return a.body.Write(b) //nolint:wrapcheck // a buffer returns no error
}

func (a *answer) response() events.APIGatewayV2HTTPResponse {
	if a.header.Get("Content-Type") == "" && a.body.Len() > 0 {
		a.header.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	r := events.APIGatewayV2HTTPResponse{
		StatusCode: a.status, Headers: make(map[string]string, len(a.header)), Cookies: a.header.Values("Set-Cookie"),
	}
	for name, values := range a.header {
		if name != "Set-Cookie" { // the one header whose values cannot be joined
			r.Headers[name] = strings.Join(values, ", ")
		}
	}
	if isText(a.header.Get("Content-Type")) {
		r.Body = a.body.String()
	} else {
		r.Body, r.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body.Bytes()), a.body.Len() > 0
	}
	return r
}

// isText says whether a body can travel as it is; others go as base64.
func isText(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return contentType == ""
	}
	_, subtype, _ := strings.Cut(media, "/")
	switch {
	case strings.HasPrefix(media, "text/"), strings.HasSuffix(subtype, "+json"), strings.HasSuffix(subtype, "+xml"):
		return true
	}
	return subtype == "json" || subtype == "xml" || subtype == "yaml"
}
