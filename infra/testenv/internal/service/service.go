package service

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// Kind is one server that tests may need.
type Kind struct {
	Name     string // what it is called on the command line
	Title    string // what it is called in messages
	Variable string // the environment variable in which tests look for its URL
	start    func(ctx context.Context) (*Server, error)
}

// All lists what can be started.
func All() []Kind {
	return []Kind{
		{"postgres", "Postgres", "TEST_DATABASE_URL", startPostgres},
		{"redis", "Redis", "TEST_REDIS_URL", startRedis},
		{"sqs", "SQS", "TEST_SQS_URL", startElasticMQ},
		{"dynamodb", "DynamoDB", "TEST_DYNAMODB_URL", startDynamoDB},
	}
}

// Server is a server that was started.
type Server struct {
	Kind Kind
	URL  string

	done <-chan struct{}
	err  func() error
	stop func(ctx context.Context) error
}

// Err says how the server ended by itself, nil as long as it runs.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return fmt.Errorf("%s ended during the tests: %w", s.Kind.Title, s.err())
	default:
		return nil
	}
}

// Stop ends the server and removes what it left.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", s.Kind.Title, err)
	}
	return nil
}

// UnavailableError says that a server cannot be had on this machine, why, and what helps.
type UnavailableError struct {
	Kind Kind
	Err  error
}

// Error is the one line that is shown for tests that are going to be skipped.
func (e *UnavailableError) Error() string {
	reason := strings.ReplaceAll(e.Err.Error(), "\n", "; ")
	return fmt.Sprintf("tests that need %s: %s", e.Kind.Title, reason)
}

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// Start starts the servers at the same time and returns when each of them runs or has failed, the latter with an
// *UnavailableError.
func Start(ctx context.Context, kinds []Kind) (running []*Server, failed []error) {
	servers, errs := make([]*Server, len(kinds)), make([]error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { servers[i], errs[i] = kind.start(ctx) })
	}
	wg.Wait()
	for i, kind := range kinds {
		if errs[i] != nil {
			failed = append(failed, &UnavailableError{Kind: kind, Err: errs[i]})
			continue
		}
		servers[i].Kind = kind
		running = append(running, servers[i])
	}
	return running, failed
}

// Stop stops all servers at the same time.
func Stop(ctx context.Context, servers []*Server) error {
	errs := make([]error, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() { errs[i] = server.Stop(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// missing says that a program is not there and how it gets there.
func missing(program, debian, homebrew string) error {
	if runtime.GOOS == "darwin" {
		return fmt.Errorf("no %s on this machine, install it with: brew install %s", program, homebrew)
	}
	return fmt.Errorf("no %s on this machine, install it with: sudo apt-get install %s", program, debian)
}
