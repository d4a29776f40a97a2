-- name: ListNotEnqueued :many
-- Accepted, but nobody knows that the queue has it. Pages by (created_at, id), so that one that cannot be moved is passed by.
SELECT id, company_id, message_id, created_at FROM messages
WHERE direction = 'outgoing' AND status = 'accepted' AND enqueued_at IS NULL
  AND created_at < now() - make_interval(secs => @age::float8)
  AND (created_at, id) > (@after_time::timestamptz, @after_id::bigint)
ORDER BY created_at, id LIMIT @page_size::integer;

-- name: LockNotEnqueued :one
-- Holds the row if it is still as it was listed.
SELECT id FROM messages
WHERE company_id = @company_id AND id = @id AND status = 'accepted' AND enqueued_at IS NULL
FOR UPDATE SKIP LOCKED;

-- name: ListExpired :many
-- Waiting for longer than their time to live. Pages by (expires_at, id).
SELECT id, company_id, message_id, expires_at::timestamptz AS expired_at FROM messages
WHERE direction = 'outgoing' AND status IN ('accepted', 'queued') AND expires_at < now()
  AND (expires_at, id) > (@after_time::timestamptz, @after_id::bigint)
ORDER BY expires_at, id LIMIT @page_size::integer;

-- name: EnqueueDueDeliveries :many
-- Deliveries that have been due for a while and that no job in the queue speaks for.
UPDATE webhook_deliveries d SET enqueued_until = now() + make_interval(secs => @hold::float8)
WHERE (d.id, d.created_at) IN (
    SELECT s.id, s.created_at FROM webhook_deliveries s
    WHERE s.state = 'pending' AND s.next_attempt_at <= now() - make_interval(secs => @grace::float8)
      AND (s.enqueued_until IS NULL OR s.enqueued_until < now())
      AND (s.claimed_until IS NULL OR s.claimed_until < now())
    ORDER BY s.next_attempt_at LIMIT @page_size::integer FOR UPDATE SKIP LOCKED)
RETURNING d.id, d.company_id, d.created_at;

-- name: DropOldSecrets :execrows
-- Ends the rotations whose time is over.
UPDATE webhook_endpoints SET previous_secret = NULL, previous_until = NULL WHERE previous_until <= now();
