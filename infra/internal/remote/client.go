package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	// callTimeout bounds a call; nothing here waits for long.
	callTimeout = 30 * time.Second
	// connections is how many are kept open, so that the load is that of requests and not of handshakes.
	connections = 512
	// errorLimit is how much of an answer that says what went wrong is shown.
	errorLimit = 500
)

// StatusError is an answer that is no success.
type StatusError struct {
	Call   string
	Status int
	Body   string
}

// Error says what was called, and the answer.
func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: status %d: %s", e.Call, e.Status, e.Body)
}

// client makes JSON calls to one server.
type client struct {
	url  string
	key  string
	http *http.Client
}

func newClient(url, key string) client {
	return client{url: url, key: key, http: &http.Client{
		Timeout:   callTimeout,
		Transport: &http.Transport{MaxIdleConns: connections, MaxIdleConnsPerHost: connections},
	}}
}

// Close ends the connections that are idle.
func (c client) Close() { c.http.CloseIdleConnections() }

// call makes a request; into is nil where the answer does not matter.
func (c client) call(ctx context.Context, method, path string, body, into any) error {
	name := method + " " + path
	var payload io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		payload = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, payload)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.key != "" {
		request.Header.Set("Authorization", "Bearer "+c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err //nolint:wrapcheck // names method and address
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return &StatusError{Call: name, Status: response.StatusCode, Body: string(content[:min(len(content), errorLimit)])}
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
