package parts

import (
	"context"
	"log/slog"
)

var all = map[string]func(ctx context.Context, environ []string, logger *slog.Logger) error{
	"api":   serveAPI,
	"redis": serveRedis,
}

// Known says whether there is a part of that name.
func Known(name string) bool { return all[name] != nil }

// Run is the part of that name, told its settings by the environment, until the context ends.
func Run(ctx context.Context, name string, environ []string, logger *slog.Logger) error {
	return all[name](ctx, environ, logger)
}
