package rig

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Shares is how many shards each host holds, and how many nobody does or are on their way, under "".
func (r *Rig) Shares(ctx context.Context) (map[string]int, error) {
	shares := make(map[string]int)
	rows, err := r.pool.Query(ctx, `SELECT CASE WHEN target IS NULL AND expires_at > now() THEN coalesce(host_id, '') ELSE '' END, count(*)
		FROM shard_lease GROUP BY 1`)
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	var host string
	var count int
	_, err = pgx.ForEachRow(rows, []any{&host, &count}, func() error {
		shares[host] = count
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read leases: %w", err)
	}
	return shares, nil
}

// Unfinished counts the outgoing messages since a time that have not come to an end: neither with WhatsApp nor given up.
func (r *Rig) Unfinished(ctx context.Context, since time.Time) (count int, err error) {
	err = r.pool.QueryRow(ctx, `SELECT count(*) FROM messages WHERE direction = 'outgoing' AND created_at >= $1
		AND status IN ('accepted', 'queued', 'sending', 'unconfirmed')`, since).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count unfinished messages: %w", err)
	}
	return count, nil
}

// Resends counts the resends under the same id of the outgoing messages since a time.
func (r *Rig) Resends(ctx context.Context, since time.Time) (count int, err error) {
	err = r.pool.QueryRow(ctx, `SELECT coalesce(sum(resends), 0) FROM messages WHERE direction = 'outgoing' AND created_at >= $1`, since).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count resends: %w", err)
	}
	return count, nil
}

// Received is which of the messages companies have received, and how often each is in their history.
func (r *Rig) Received(ctx context.Context, ids []string) (map[string]int, error) {
	rows, err := r.pool.Query(ctx, `SELECT wa_message_id, count(*) FROM messages
		WHERE direction = 'incoming' AND wa_message_id = ANY($1) GROUP BY 1`, ids)
	if err != nil {
		return nil, fmt.Errorf("read received messages: %w", err)
	}
	received := make(map[string]int)
	var id string
	var count int
	_, err = pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		received[id] = count
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read received messages: %w", err)
	}
	return received, nil
}

// Untold is by how many there are more received messages than events that tell of one; below 0, more events. A message that
// could not be decrypted at first was received twice, as its placeholder and as itself.
func (r *Rig) Untold(ctx context.Context) (count int, err error) {
	err = r.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM messages m CROSS JOIN jsonb_array_elements(m.trace) AS step
			WHERE m.direction = 'incoming' AND step->>'status' = 'received')
		- (SELECT count(*) FROM events WHERE type = 'message.received')`).Scan(&count)
	if err != nil {
		return 0, fmt.Errorf("count events: %w", err)
	}
	return count, nil
}

// Retried is which of the messages were claimed more than once: whatever held them up, others may have gone before them.
func (r *Rig) Retried(ctx context.Context, since time.Time) (map[string]bool, error) {
	rows, err := r.pool.Query(ctx, `SELECT message_id FROM messages WHERE direction = 'outgoing' AND created_at >= $1 AND attempt > 1`, since)
	if err != nil {
		return nil, fmt.Errorf("read retried messages: %w", err)
	}
	retried := make(map[string]bool)
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		retried[id] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read retried messages: %w", err)
	}
	return retried, nil
}
