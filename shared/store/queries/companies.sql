-- name: CreateCompany :one
INSERT INTO companies (company_id, title, whatsapp_phone, whatsapp_config, whatsapp_status, shard, rate_per_minute, rate_burst)
VALUES (@company_id, sqlc.narg(title), sqlc.narg(phone), sqlc.narg(config)::jsonb, 'disconnected', @shard, @rate_per_minute, @rate_burst)
ON CONFLICT (company_id) DO NOTHING
RETURNING *;

-- name: CreateCompanyKey :exec
INSERT INTO company_keys (company_id, wrapped) VALUES (@company_id, @wrapped) ON CONFLICT DO NOTHING;

-- name: GetCompanyKey :one
SELECT wrapped FROM company_keys WHERE company_id = @company_id;

-- name: FindCompanyWithKey :one
-- Any of them: a start tries its master key on it.
SELECT company_id FROM company_keys LIMIT 1;

-- name: CreateCompanySession :exec
WITH seq AS (INSERT INTO company_seq (company_id) VALUES (@company_id))
INSERT INTO whatsapp_sessions (company_id) VALUES (@company_id);

-- name: GetCompany :one
SELECT * FROM companies WHERE company_id = @company_id AND deleted_at IS NULL;

-- name: PrepareSend :one
-- All that a send needs to know, in one round trip: where the company's sends go, its limit, whether its session
-- takes any, whether the recipient wants any, and what has become of the message if this is a repeated call.
SELECT c.shard, c.rate_per_minute, c.rate_burst, s.state,
       coalesce((SELECT true FROM suppressions x WHERE x.company_id = c.company_id AND x.address = @recipient::text), false)::boolean AS suppressed,
       m.body_hash AS message_hash, m.status AS message_status, m.reason AS message_reason
FROM companies c
JOIN whatsapp_sessions s ON s.company_id = c.company_id
LEFT JOIN messages m ON m.company_id || '' = c.company_id AND m.direction = 'outgoing' AND m.message_id = @message_id
WHERE c.company_id = @company_id;

-- name: UpdateCompanyProfile :exec
UPDATE companies SET
    title = coalesce(sqlc.narg(title), title),
    whatsapp_phone = coalesce(sqlc.narg(phone), whatsapp_phone),
    whatsapp_config = coalesce(sqlc.narg(config)::jsonb, whatsapp_config)
WHERE company_id = @company_id;

-- name: ListCompaniesOfShard :many
-- All that the new owner of a shard has to know of its companies, in one round trip: whether something waits to be sent, and
-- whether a former owner was sending.
SELECT sqlc.embed(s), k.wrapped, coalesce(waiting.since <= now(), false)::boolean AS due,
    EXISTS (SELECT FROM messages h WHERE h.company_id || '' = c.company_id || '' AND h.direction = 'outgoing' AND h.status = 'sending') AS sending
FROM companies c JOIN whatsapp_sessions s ON s.company_id = c.company_id
LEFT JOIN company_keys k ON k.company_id = c.company_id
CROSS JOIN LATERAL (SELECT min(m.due_at) AS since FROM messages m
    WHERE m.shard = c.shard AND m.company_id = c.company_id AND m.direction = 'outgoing' AND m.status = 'queued') AS waiting
WHERE c.shard = @shard
ORDER BY waiting.since NULLS LAST, c.company_id;

-- name: FindCompanyOfMessage :many
-- For admin keys, which may ask for a message without naming its company. More than one row: they have to.
SELECT company_id FROM messages WHERE message_id = @message_id LIMIT 2;

-- name: MeasureCompany :one
-- What a company's messages came to. How long they took is that of the newest thousand, however long the history is.
SELECT q.sent, q.received, q.failed,
    coalesce((SELECT avg(extract(epoch FROM n.sent_at - n.created_at))
        FROM (SELECT m.direction, m.sent_at, m.created_at FROM messages m WHERE m.company_id = @company_id ORDER BY m.id DESC LIMIT 1000) AS n
        WHERE n.direction = 'outgoing' AND n.sent_at IS NOT NULL), 0)::float8 AS response_seconds
FROM company_seq q WHERE q.company_id = @company_id;

-- name: CountFailure :exec
-- For a failure whose event AppendEvent writes next, in the same transaction: the counter's lock is that statement's.
UPDATE company_seq SET failed = failed + 1 WHERE company_id = @company_id;

-- name: UpdateCompany :one
-- What is not given stays as it is; a rate that is not given is 0.
UPDATE companies SET
    title = coalesce(sqlc.narg(title), title),
    whatsapp_phone = coalesce(sqlc.narg(phone), whatsapp_phone),
    whatsapp_config = coalesce(sqlc.narg(config)::jsonb, whatsapp_config),
    rate_per_minute = coalesce(nullif(@rate_per_minute::integer, 0), rate_per_minute),
    rate_burst = coalesce(nullif(@rate_burst::integer, 0), rate_burst)
WHERE company_id = @company_id AND deleted_at IS NULL
RETURNING *;

-- name: ListCompanies :many
-- Every company of the installation, by id.
SELECT * FROM companies WHERE company_id > @after::text AND deleted_at IS NULL
ORDER BY company_id LIMIT @page_size::integer;

-- name: HoldCompany :one
-- Keeps a company from being deleted, and others who hold it waiting, until the transaction has added something to it.
SELECT company_id FROM companies WHERE company_id = @company_id AND deleted_at IS NULL FOR NO KEY UPDATE;

-- name: MarkCompanyDeleted :execrows
UPDATE companies SET deleted_at = now() WHERE company_id = @company_id AND deleted_at IS NULL;

-- name: DeleteRestingSession :execrows
-- 0 rows: the session is up, on its way, or its owner has not got to what was asked for last.
DELETE FROM whatsapp_sessions
WHERE company_id = @company_id AND desired_state <> 'running' AND observed_generation = desired_generation
  AND NOT delete_after_logout AND state = ANY(@resting::text[]);

-- name: ShredCompany :exec
-- What opens a company's data, what acts for it, and what tells of it.
WITH data_key AS (DELETE FROM company_keys k WHERE k.company_id = @company_id),
    counter AS (DELETE FROM company_seq q WHERE q.company_id = @company_id),
    keys AS (DELETE FROM api_keys a WHERE a.company_id = @company_id),
    endpoints AS (DELETE FROM webhook_endpoints e WHERE e.company_id = @company_id),
    answers AS (DELETE FROM idempotent_answers i WHERE i.company_id = @company_id)
SELECT;

-- name: IsCompanyDeleted :one
-- Whether an id that is taken is that of a company that was deleted.
SELECT (deleted_at IS NOT NULL)::boolean AS deleted FROM companies WHERE company_id = @company_id;
