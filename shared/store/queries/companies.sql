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
SELECT * FROM companies WHERE company_id = @company_id;

-- name: PrepareSend :one
-- All that a send needs to know, in one round trip: where the company's sends go, its limit, whether its session
-- takes any, and what has become of the message if this is a repeated call.
SELECT c.shard, c.rate_per_minute, c.rate_burst, s.state,
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
-- What a company's messages came to.
SELECT count(*) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE direction = 'incoming') AS received,
       count(*) FILTER (WHERE direction = 'outgoing' AND status = 'failed') AS failed,
       coalesce(avg(extract(epoch FROM sent_at - created_at)) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL), 0)::float8 AS response_seconds
FROM messages WHERE company_id = @company_id;

-- name: UpdateCompany :one
-- What is not given stays as it is; a rate that is not given is 0.
UPDATE companies SET
    title = coalesce(sqlc.narg(title), title),
    whatsapp_phone = coalesce(sqlc.narg(phone), whatsapp_phone),
    whatsapp_config = coalesce(sqlc.narg(config)::jsonb, whatsapp_config),
    rate_per_minute = coalesce(nullif(@rate_per_minute::integer, 0), rate_per_minute),
    rate_burst = coalesce(nullif(@rate_burst::integer, 0), rate_burst)
WHERE company_id = @company_id
RETURNING *;
