package boot

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-lambda-go/lambda"

	"wafleet/functions/app"
	"wafleet/shared/config"
)

// NewHandler makes the Lambda handler of a function that a queue or a schedule drives.
type NewHandler func(environ []string, deps app.Deps) (handler any, err error)

// Function is API for functions that a queue or a schedule drives: it connects to everything the environment names and
// hands the events to what newHandler makes.
func Function(ctx context.Context, environ []string, stderr io.Writer, newHandler NewHandler) int {
	handler, err := function(ctx, environ, newHandler)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // nobody is left to tell if this fails
		return 1
	}
	lambda.StartWithOptions(handler, lambda.WithContext(ctx))
	return 0
}

func function(ctx context.Context, environ []string, newHandler NewHandler) (any, error) {
	settings, err := config.Load[config.Functions](environ)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	deps, err := connect(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	handler, err := newHandler(environ, deps)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	return handler, nil
}
