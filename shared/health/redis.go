package health

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// redisTimeout bounds every command: nobody waits for a view.
	redisTimeout = 50 * time.Millisecond
	// One hash tag, so that the keys share a slot of a Redis cluster.
	redisIndex  = "wafleet:{hosts}"
	redisPrefix = "wafleet:{hosts}:"
)

// RedisBoard shows reports in Redis: a key for each host that expires by itself, and a set of their ids.
type RedisBoard struct{ redis redis.UniversalClient }

var _ Board = (*RedisBoard)(nil)

// NewRedisBoard returns the board of an installation.
func NewRedisBoard(client redis.UniversalClient) *RedisBoard { return &RedisBoard{redis: client} }

// Put implements Board.
func (b *RedisBoard) Put(ctx context.Context, r Report) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	_, err = b.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, redisPrefix+r.HostID, body, Lifetime)
		p.SAdd(ctx, redisIndex, r.HostID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("put report: %w", err)
	}
	return nil
}

// Withdraw implements Board.
func (b *RedisBoard) Withdraw(ctx context.Context, hostID string) error {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	_, err := b.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, redisPrefix+hostID)
		p.SRem(ctx, redisIndex, hostID)
		return nil
	})
	if err != nil {
		return fmt.Errorf("withdraw report: %w", err)
	}
	return nil
}

// Reports implements Board. It also forgets the ids of hosts whose reports have expired; a host that lives is back with its
// next report.
func (b *RedisBoard) Reports(ctx context.Context) ([]Report, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	ids, err := b.redis.SMembers(ctx, redisIndex).Result()
	if err != nil {
		return nil, fmt.Errorf("list reports: %w", err)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = redisPrefix + id
	}
	bodies, err := b.redis.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	reports, gone := make([]Report, 0, len(ids)), make([]any, 0)
	for i, body := range bodies {
		text, there := body.(string)
		if !there {
			gone = append(gone, ids[i])
			continue
		}
		var r Report
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fmt.Errorf("decode report: %w", err)
		}
		reports = append(reports, r)
	}
	if len(gone) > 0 {
		if err := b.redis.SRem(ctx, redisIndex, gone...).Err(); err != nil {
			return nil, fmt.Errorf("forget reports: %w", err)
		}
	}
	slices.SortFunc(reports, func(x, y Report) int { return cmp.Compare(x.HostID, y.HostID) })
	return reports, nil
}
