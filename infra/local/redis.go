package local

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"

	"github.com/alicebob/miniredis/v2"

	"wafleet/shared/rpc"
)

// startRedis connects to the Redis that was given, or runs one in this process.
func (s *System) startRedis(ctx context.Context) error {
	s.redisURL = s.settings.RedisURL
	if s.redisURL == "" {
		if err := s.runRedis(); err != nil {
			return err
		}
	}
	client, err := rpc.Open(s.redisURL, s.settings.Mode.Dev())
	if err != nil {
		return err
	}
	s.stack.push("redis client", func(context.Context) error { return client.Close() })
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("connect to redis: %w", err)
	}
	s.redis = client
	return nil
}

// runRedis runs a Redis in this process, which keeps nothing: all that is in it may be lost at any time. It has a
// password, since other users of the machine can reach the port, too.
func (s *System) runRedis() error {
	server, password := miniredis.NewMiniRedis(), rand.Text()
	server.ClockTTL(true) // what expires expires by the clock
	server.RequireAuth(password)
	if err := server.StartAddr(loopback(0)); err != nil {
		return fmt.Errorf("start redis: %w", err)
	}
	s.stack.push("redis", func(context.Context) error { server.Close(); return nil })
	s.redisURL = (&url.URL{Scheme: "redis", User: url.UserPassword("default", password), Host: server.Addr()}).String()
	return nil
}
