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

-- name: ListDeletedCompanies :many
SELECT company_id FROM companies WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT @page_size::integer;

-- name: HoldDeletedCompany :one
-- Nobody else takes away what the company left behind, or gives its id to another one meanwhile.
SELECT company_id FROM companies WHERE company_id = @company_id AND deleted_at IS NOT NULL FOR UPDATE SKIP LOCKED;

-- name: PurgeMessages :execrows
DELETE FROM messages x WHERE x.company_id = @company_id
  AND x.id IN (SELECT m.id FROM messages m WHERE m.company_id = @company_id ORDER BY m.id LIMIT @page_size::integer);

-- name: PurgeEvents :execrows
DELETE FROM events x WHERE x.company_id = @company_id
  AND x.seq <= (SELECT max(p.seq) FROM (SELECT e.seq FROM events e WHERE e.company_id = @company_id ORDER BY e.seq LIMIT @page_size::integer) AS p);

-- name: PurgeDeliveries :execrows
DELETE FROM webhook_deliveries x WHERE x.company_id = @company_id
  AND (x.id, x.created_at) IN (SELECT d.id, d.created_at FROM webhook_deliveries d WHERE d.company_id = @company_id LIMIT @page_size::integer);

-- name: PurgeCompany :execrows
-- The rest goes with it. 0 rows: its id is not to be given away yet.
DELETE FROM companies WHERE company_id = @company_id AND deleted_at < now() - make_interval(secs => @keep::float8);
