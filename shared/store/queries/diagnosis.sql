-- What explains why messages do not arrive. Each statement reads a bounded number of rows, however long a history is.

-- name: FindLastMessagesTo :many
-- The newest messages to a chat, as far as they are among the company's newest thousand.
SELECT m.message_id, m.status, m.reason, m.attempt, m.due_at > now() AS held_back, m.enqueued_at
FROM messages m
WHERE m.company_id = @company_id AND m.direction = 'outgoing' AND m.chat = @chat AND m.id >= coalesce(
    (SELECT n.id FROM messages n WHERE n.company_id = @company_id ORDER BY n.id DESC OFFSET 999 LIMIT 1), 0)
ORDER BY m.id DESC LIMIT 10;

-- name: MeasureWaiting :one
-- How many messages wait for their turn, counted up to a thousand, and how long one of them has been waiting at most.
WITH first AS MATERIALIZED (
    (SELECT m.created_at FROM messages m
    WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.status = 'queued' AND m.batch IS NULL
    ORDER BY m.lane, m.id LIMIT 1000)
    UNION ALL
    SELECT r.created_at FROM (
        SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.status = 'running' AND b.ended_at IS NULL
        ORDER BY b.id + 0 LIMIT 16
    ) running CROSS JOIN LATERAL (
        SELECT m.created_at FROM messages m WHERE m.company_id || '' = @company_id AND m.batch = running.id AND m.status = 'queued'
        ORDER BY m.batch_row LIMIT 1000
    ) r
    LIMIT 1000
)
SELECT count(*) AS waiting, coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 AS oldest_seconds FROM first;

-- name: CountFailures :many
-- Why messages failed in the last day, as far as they are among the company's newest thousand; the most frequent reason first.
SELECT m.reason, count(*) AS messages
FROM messages m
WHERE m.company_id = @company_id AND m.direction = 'outgoing' AND m.status IN ('failed', 'expired')
  AND m.created_at > now() - interval '1 day' AND m.id >= coalesce(
    (SELECT n.id FROM messages n WHERE n.company_id = @company_id ORDER BY n.id DESC OFFSET 999 LIMIT 1), 0)
GROUP BY m.reason ORDER BY count(*) DESC, m.reason;
