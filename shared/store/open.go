package store

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// dialTimeout bounds a connect to Postgres where its URL says nothing of it.
const dialTimeout = 5 * time.Second

// Open opens a pool of at most so many connections. Nothing is connected yet. A server that vanishes without a word, as one
// does whose machine died, is noticed within seconds, so that statements without a deadline end as well.
func Open(ctx context.Context, url string, most int32, change ...func(*pgxpool.Config)) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	config.MaxConns = most
	dialer := &net.Dialer{
		Timeout: dialTimeout, Control: giveUpOnSilence,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 3 * time.Second, Interval: 2 * time.Second, Count: 3},
	}
	config.ConnConfig.DialFunc = dialer.DialContext
	for _, f := range change {
		f(config)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	return pool, nil
}
