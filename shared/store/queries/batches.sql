-- Rows of a batch are found by the index messages_of_batch and by nothing else: conditions on company_id and direction are
-- written so that no other index answers them (see outbox.sql).

-- name: CreateBatch :one
-- 0 rows: there is no such company, or the key is taken.
INSERT INTO batches (company_id, batch_id, shard, name, kind, template, key_hash, body_hash, total, accepted, ttl, job_until)
SELECT c.company_id, @batch_id, c.shard, sqlc.narg(name), @kind, @template, sqlc.narg(key_hash), @body_hash, @total, @accepted, @ttl,
    now() + make_interval(secs => @job_patience::float8)
FROM companies c WHERE c.company_id = @company_id
ON CONFLICT (company_id, key_hash) DO NOTHING
RETURNING *;

-- name: GetBatch :one
SELECT * FROM batches WHERE company_id || '' = @company_id AND batch_id = @batch_id;

-- name: GetBatchByKey :one
SELECT * FROM batches WHERE company_id = @company_id AND key_hash = @key_hash;

-- name: FindCompanyOfBatch :one
-- For admin keys, which may ask for a batch without naming its company.
SELECT company_id FROM batches WHERE batch_id = @batch_id;

-- name: AddChunks :exec
INSERT INTO batch_chunks (company_id, batch, first_row, recipients)
SELECT @company_id, @batch, unnest(@first_rows::integer[]), unnest(@recipients::bytea[]);

-- name: AddInvalidRows :exec
INSERT INTO batch_invalid (company_id, batch, batch_row, code, message)
SELECT @company_id, @batch, unnest(@batch_rows::integer[]), unnest(@codes::text[]), unnest(@messages::text[]);

-- name: ListInvalidRows :many
SELECT batch_row, code, message FROM batch_invalid
WHERE company_id || '' = @company_id AND batch = @batch AND batch_row > @after::integer
ORDER BY batch_row LIMIT @page_size::integer;

-- name: TakeChunk :one
-- Takes some recipients out, to be made messages in the same transaction. Several feeders take different ones.
DELETE FROM batch_chunks t WHERE t.company_id || '' = @company_id AND t.batch = @batch AND t.first_row = (
    SELECT c.first_row FROM batch_chunks c WHERE c.company_id || '' = @company_id AND c.batch = @batch
    ORDER BY c.first_row LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING t.first_row, t.recipients;

-- name: InsertRows :execrows
-- Step 3 of a send for rows of a batch, whose job was durable already. A row that is there stays as it is.
INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, lane, body, enqueued_at, expires_at, trace, batch, batch_row)
SELECT b.company_id, r.phone, r.message_id, 'outgoing', 'queued', b.shard, b.kind, r.phone, 1, r.body, now(), now() + make_interval(secs => b.ttl),
    jsonb_build_array(jsonb_build_object('status', 'accepted', 'at', b.created_at), jsonb_build_object('status', 'queued', 'at', now())),
    b.id, r.batch_row
FROM batches b, (SELECT unnest(@message_ids::text[]) AS message_id, unnest(@phones::text[]) AS phone, unnest(@bodies::bytea[]) AS body,
    unnest(@batch_rows::integer[]) AS batch_row) r
WHERE b.company_id || '' = @company_id AND b.id = @batch
ORDER BY r.batch_row
ON CONFLICT (company_id, direction, message_id) DO NOTHING;

-- name: RefuseRows :exec
-- Rows that were accepted, and became no messages after all.
UPDATE batches SET accepted = accepted - @refused WHERE company_id || '' = @company_id AND id = @batch;

-- name: MarkFed :execrows
-- 0 rows: a recipient is still no message.
UPDATE batches b SET fed_at = coalesce(b.fed_at, now())
WHERE b.company_id || '' = @company_id AND b.id = @batch
  AND (SELECT c.first_row FROM batch_chunks c WHERE c.company_id || '' = @company_id AND c.batch = @batch LIMIT 1) IS NULL;

-- name: CountRows :many
-- The index has all that is asked for; rows that vacuum has not seen since their last change are looked at.
SELECT m.status, count(*) AS messages FROM messages m WHERE m.batch = @batch::bigint
  AND (SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.id = @batch::bigint) IS NOT NULL
GROUP BY m.status;

-- name: ListRows :many
-- A page of the messages of a batch that are in one of these states, in the order of its rows.
SELECT r.batch_row::integer AS batch_row, r.message_id, r.phone, r.status, r.reason, r.sent_at, r.delivered_at, r.read_at
FROM unnest(@statuses::text[]) AS s(status) CROSS JOIN LATERAL (
    SELECT m.* FROM messages m
    WHERE m.company_id || '' = @company_id AND m.batch = @batch::bigint AND m.status = s.status AND m.batch_row > @after::integer
    ORDER BY m.batch_row LIMIT @page_size::integer
) r
ORDER BY r.batch_row LIMIT @page_size::integer;

-- name: PauseBatch :execrows
UPDATE batches SET status = 'paused' WHERE company_id || '' = @company_id AND batch_id = @batch_id AND status = 'running' AND ended_at IS NULL;

-- name: ResumeBatch :execrows
UPDATE batches b SET status = 'running', running_since = now(), ended_before =
    (SELECT count(*) FROM messages m WHERE m.batch = b.id AND m.status <> ALL('{accepted,queued,sending,unconfirmed}'::text[]))
WHERE b.company_id || '' = @company_id AND b.batch_id = @batch_id AND b.status = 'paused' AND b.ended_at IS NULL;

-- name: CancelBatch :execrows
-- From here on nothing of it is claimed. What waits becomes canceled step by step.
UPDATE batches SET status = 'canceled', job_until = now() + make_interval(secs => @job_patience::float8)
WHERE company_id || '' = @company_id AND batch_id = @batch_id AND status IN ('running', 'paused') AND ended_at IS NULL;

-- name: CancelRows :many
-- A bounded step of a cancellation, with what the events of these messages tell.
UPDATE messages m SET status = 'canceled', reason = @reason::text,
    trace = m.trace || jsonb_build_object('status', 'canceled', 'at', now(), 'reason', @reason::text)
WHERE m.company_id || '' = @company_id AND m.id = ANY(ARRAY(
    SELECT w.id FROM messages w WHERE w.company_id || '' = @company_id AND w.batch = @batch::bigint AND w.status = 'queued'
    ORDER BY w.batch_row LIMIT @page_size::integer FOR UPDATE))
RETURNING m.message_id, m.phone, m.kind, m.client_ref, now()::timestamptz AS at;

-- name: EndBatch :one
-- Once, when nothing of it can be sent any more.
UPDATE batches b SET ended_at = now(), status = CASE b.status WHEN 'canceled' THEN 'canceled' ELSE 'completed' END
WHERE b.company_id || '' = @company_id AND b.id = @batch AND b.ended_at IS NULL AND b.fed_at IS NOT NULL
  AND (SELECT 1 FROM messages m WHERE m.batch = b.id AND m.status IN ('accepted', 'queued', 'sending', 'unconfirmed') LIMIT 1) IS NULL
RETURNING *;

-- name: ListEndedBatches :many
-- Those of which nothing can be sent any more and nobody has said so. Pages by id.
SELECT b.id, b.company_id FROM batches b
WHERE b.ended_at IS NULL AND b.fed_at IS NOT NULL AND b.id + 0 > @after::bigint
  AND (SELECT 1 FROM messages m WHERE m.batch = b.id AND m.status IN ('accepted', 'queued', 'sending', 'unconfirmed') LIMIT 1) IS NULL
ORDER BY b.id + 0 LIMIT @page_size::integer;

-- name: ClaimIdleBatches :many
-- Those that have something to be fed or canceled, and no job that speaks for them.
UPDATE batches t SET job_until = now() + make_interval(secs => @job_patience::float8)
WHERE t.id IN (
    SELECT b.id FROM batches b WHERE b.ended_at IS NULL AND (b.job_until IS NULL OR b.job_until < now())
      AND (b.fed_at IS NULL OR (b.status = 'canceled'
        AND (SELECT 1 FROM messages m WHERE m.batch = b.id AND m.status = 'queued' LIMIT 1) IS NOT NULL))
    ORDER BY b.id + 0 LIMIT @page_size::integer FOR UPDATE SKIP LOCKED)
RETURNING t.company_id, t.batch_id;
