package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

const (
	healthPath = "/api/whatsapp/health"
	// readyTimeout bounds the wait for the first healthy answer, which a host needs a moment for.
	readyTimeout = 30 * time.Second
	readyPoll    = 50 * time.Millisecond
	// shutdownTimeout is how long requests in hand may take; those that only wait for events end at once.
	shutdownTimeout = 5 * time.Second
)

// serve answers requests and returns when the API says that it is healthy.
func (s *System) serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug), // mostly clients that went away
	}
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = fmt.Errorf("serve requests: %w", server.Serve(s.api))
	}()
	s.stack.push("API", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
		defer cancel()
		s.drain()
		err := server.Shutdown(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			err = server.Close()
		}
		<-done
		return err //nolint:wrapcheck // the stack names it
	})
	s.watch("API", done, func() error { return ended })
	return s.awaitHealth(ctx)
}

// awaitHealth asks for the health of the system until it is good.
func (s *System) awaitHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	last := errors.New("no answer")
	for {
		err := health(ctx, client, s.url()+healthPath)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the system to be healthy: %w: %w", context.Cause(ctx), last)
		case <-time.After(readyPoll):
		}
	}
}

func health(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask for health: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusOK {
		return nil
	}
	const enough = 2 << 10
	body, _ := io.ReadAll(io.LimitReader(response.Body, enough)) // only for the message
	return fmt.Errorf("health is %s: %s", response.Status, strings.TrimSpace(string(body)))
}
