-- name: GetSession :one
SELECT * FROM whatsapp_sessions WHERE company_id = @company_id;

-- name: ListSessions :many
-- Every session of the installation, or of one company; a page when limit is given.
SELECT company_id, state, status, reason, user_action, connected_at FROM whatsapp_sessions
WHERE (sqlc.narg(company_id)::text IS NULL OR company_id = sqlc.narg(company_id))
  AND company_id > @after::text
ORDER BY company_id
LIMIT sqlc.narg(page_size)::bigint;

-- name: CountSessions :many
SELECT state, count(*) AS sessions FROM whatsapp_sessions
WHERE (sqlc.narg(company_id)::text IS NULL OR company_id = sqlc.narg(company_id))
GROUP BY state ORDER BY state;

-- name: SetDesired :one
-- Declares what the session should be; its owner reconciles. Every call is a new generation.
UPDATE whatsapp_sessions SET
    desired_state = @desired_state,
    desired_generation = desired_generation + 1,
    pairing_method = coalesce(sqlc.narg(pairing_method), pairing_method),
    pairing_phone = coalesce(sqlc.narg(pairing_phone), pairing_phone),
    updated_at = now()
WHERE company_id = @company_id
RETURNING *;

-- name: RestartSession :one
-- Declares that the session should run on a new socket, even where one is online.
UPDATE whatsapp_sessions SET
    desired_state = 'running',
    desired_generation = desired_generation + 1,
    restart_generation = desired_generation + 1,
    updated_at = now()
WHERE company_id = @company_id
RETURNING *;

-- name: DeleteSession :one
-- Declares that the session should be as new: unlinked, without keys. Whatever is asked for later comes after it.
UPDATE whatsapp_sessions SET
    desired_state = 'logged_out',
    desired_generation = desired_generation + 1,
    delete_after_logout = true,
    pairing_method = 'qr',
    pairing_phone = NULL,
    updated_at = now()
WHERE company_id = @company_id
RETURNING *;

-- name: BanLeft :one
-- How many seconds a ban still lasts, by the database's clock.
SELECT coalesce(greatest(extract(epoch FROM banned_until - now()), 0), 0)::float8 AS seconds FROM whatsapp_sessions WHERE company_id = @company_id;

-- name: ListUnreconciled :many
SELECT s.company_id, c.shard FROM whatsapp_sessions s JOIN companies c ON c.company_id = s.company_id
WHERE s.observed_generation < s.desired_generation AND c.shard = ANY(@shards::integer[])
ORDER BY s.company_id;

-- name: ObserveGeneration :execrows
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE)
UPDATE whatsapp_sessions s SET observed_generation = @generation, updated_at = now()
FROM fence
WHERE s.company_id = @company_id AND s.observed_generation < @generation;

-- name: DisownSockets :one
-- Whoever wins a shard has none of its sockets: what its former owner called connected is on its way back.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
disowned AS (
    UPDATE whatsapp_sessions s SET
        state = 'reconnecting', status = @status::text, connected_at = NULL, reconnects = s.reconnects + 1, updated_at = now()
    FROM fence, companies c
    WHERE c.shard = @shard AND s.company_id = c.company_id AND s.state = 'connected'
    RETURNING s.company_id
), mirrored AS (
    UPDATE companies c SET whatsapp_status = @status::text FROM disowned WHERE c.company_id = disowned.company_id
)
SELECT EXISTS (SELECT FROM fence)::boolean AS held;

-- name: SetSessionState :one
-- The only writer of state: keeps the predecessor's columns in step and tells of it, in one fenced statement. Without an
-- event_type nothing is told.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
changed AS (
    UPDATE whatsapp_sessions s SET
        state = @state::text, status = @status, reason = @reason, user_action = @user_action, updated_at = now(),
        connected_at = CASE WHEN @state::text = 'connected' THEN coalesce(s.connected_at, now()) END,
        jid = CASE WHEN @state::text IN ('logged_out', 'pairing', 'created') THEN NULL ELSE coalesce(sqlc.narg(jid)::text, s.jid) END,
        lid = CASE WHEN @state::text IN ('logged_out', 'pairing', 'created') THEN NULL ELSE coalesce(sqlc.narg(lid)::text, s.lid) END,
        push_name = CASE WHEN NOT @erase::boolean THEN coalesce(sqlc.narg(push_name)::text, s.push_name) END,
        delete_after_logout = s.delete_after_logout AND NOT @erase::boolean,
        qr_attempts = CASE WHEN @erase::boolean THEN 0 WHEN @qr_attempts::integer > 0 THEN @qr_attempts::integer ELSE s.qr_attempts END,
        banned_until = CASE WHEN @state::text <> 'banned' THEN NULL
            WHEN @ban_seconds::float8 > 0 THEN now() + make_interval(secs => @ban_seconds::float8) ELSE s.banned_until END,
        reconnects = s.reconnects + CASE WHEN @state::text = 'reconnecting' AND s.state = 'connected' THEN 1 ELSE 0 END
    FROM fence
    WHERE s.company_id = @company_id
    RETURNING s.company_id, s.status, s.state, s.desired_state, s.pairing_method, s.jid, s.connected_at
), mirrored AS (
    UPDATE companies c SET
        whatsapp_status = changed.status,
        whatsapp_enabled = changed.desired_state = 'running',
        whatsapp_connection_method = changed.pairing_method,
        whatsapp_phone = coalesce(split_part(split_part(changed.jid, '@', 1), ':', 1), c.whatsapp_phone),
        whatsapp_last_connected = coalesce(changed.connected_at, c.whatsapp_last_connected)
    FROM changed
    WHERE c.company_id = changed.company_id
), seq AS (
    UPDATE company_seq q SET seq = q.seq + 1 FROM changed WHERE q.company_id = @company_id AND @event_type::text <> '' RETURNING q.seq
), event AS (
    INSERT INTO events (company_id, seq, id, type, data)
    SELECT @company_id, seq.seq, @event_id, @event_type, @event_data FROM seq
    RETURNING seq
), told AS (
    INSERT INTO webhook_deliveries (id, company_id, endpoint_id, event_seq, event_id, event_type)
    SELECT gen_random_uuid(), e.company_id, e.id, event.seq, @event_id, @event_type
    FROM event, webhook_endpoints e
    WHERE e.company_id = @company_id AND e.enabled AND (e.events = '{}' OR @event_type = ANY(e.events))
    RETURNING id
)
SELECT EXISTS (SELECT FROM fence)::boolean AS held, EXISTS (SELECT FROM changed)::boolean AS changed, now()::timestamptz AS at,
    ARRAY(SELECT told.id FROM told)::uuid[] AS deliveries;

-- name: FindCompanyByNumber :one
SELECT company_id FROM whatsapp_sessions
WHERE split_part(split_part(jid, '@', 1), ':', 1) = @phone::text;

-- name: LockSession :one
-- For whoever changes a session that nobody runs.
SELECT * FROM whatsapp_sessions WHERE company_id = @company_id FOR UPDATE;

-- name: LinkSession :exec
-- Gives a session a device that was linked elsewhere. It does not run until somebody asks.
WITH linked AS (
    UPDATE whatsapp_sessions s SET jid = @jid::text, lid = nullif(@lid::text, ''), push_name = nullif(@push_name::text, ''),
        state = 'stopped', status = @status, reason = '', user_action = 'none', connected_at = NULL, banned_until = NULL, updated_at = now()
    WHERE s.company_id = @company_id
    RETURNING s.company_id, s.status, s.jid
)
UPDATE companies c SET whatsapp_status = linked.status, whatsapp_phone = split_part(split_part(linked.jid, '@', 1), ':', 1)
FROM linked WHERE c.company_id = linked.company_id AND c.company_id = @company_id;
