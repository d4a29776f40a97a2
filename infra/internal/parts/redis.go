package parts

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/alicebob/miniredis/v2"

	"wafleet/shared/config"
)

// redisSettings is the environment of the part "redis".
type redisSettings struct {
	Listen   string `env:"REDIS_LISTEN,notEmpty"`
	Password string `env:"REDIS_PASSWORD,notEmpty,unset"`
}

// serveRedis is a Redis for machines without one, until the context ends.
func serveRedis(ctx context.Context, environ []string, _ *slog.Logger) error {
	settings, err := config.Load[redisSettings](environ)
	if err != nil {
		return err
	}
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // what expires expires by the clock
	server.RequireAuth(settings.Password)
	if err := server.StartAddr(settings.Listen); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	<-ctx.Done()
	server.Close()
	return nil
}
