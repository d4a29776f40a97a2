package boot

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-lambda-go/lambda"

	"wafleet/functions/app"
	"wafleet/functions/internal/apigw"
	"wafleet/shared/config"
)

// NewHandler makes the handler of a function, as lambda.Start takes it, from its environment and its connections.
type NewHandler func(environ []string, deps app.Deps) (handler any, err error)

// API is the NewHandler of an API function: it answers the events of API Gateway for the routes with this tag of the
// contract.
func API(ctx context.Context, tag string) NewHandler {
	return func(_ []string, deps app.Deps) (any, error) {
		functions, err := app.New(ctx, deps)
		if err != nil {
			return nil, fmt.Errorf("make API: %w", err)
		}
		return apigw.Wrap(functions.Handler(tag)), nil
	}
}

// Function connects to everything the environment names and hands the events to what newHandler makes. It returns an exit
// code, and only if the function cannot start.
func Function(ctx context.Context, environ []string, stderr io.Writer, newHandler NewHandler) int {
	running, err := Start(ctx, environ, newHandler)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // nobody is left to tell if this fails
		return 1
	}
	lambda.StartWithOptions(running.Handler, lambda.WithContext(ctx), lambda.WithEnableSIGTERM(running.Close))
	return 0
}

// Running is a function that is ready for events.
type Running struct {
	// Handler is what Lambda calls.
	Handler any

	close []func()
}

// Start makes a function ready.
func Start(ctx context.Context, environ []string, newHandler NewHandler) (*Running, error) {
	r := &Running{}
	if err := r.start(ctx, environ, newHandler); err != nil {
		r.Close()
		return nil, fmt.Errorf("start function: %w", err)
	}
	return r, nil
}

// Close hangs up, the last connection first.
func (r *Running) Close() {
	for _, hangUp := range slices.Backward(r.close) {
		hangUp()
	}
	r.close = nil
}

func (r *Running) start(ctx context.Context, environ []string, newHandler NewHandler) error {
	settings, err := config.Load[config.Functions](environ)
	if err != nil {
		return err
	}
	deps, err := r.connect(ctx, settings)
	if err != nil {
		return err
	}
	r.Handler, err = newHandler(environ, deps)
	return err
}
