-- Plans are kept from a time when the table was nearly empty and any index looked best. So each statement on a message goes
-- by the one index that its conditions allow: `company_id || ''` keeps it off those that begin with the company, and
-- `status || ''` off those of one status; what is in flight has an index on that expression (plans_test.go). Whether the
-- recipient is suppressed is asked by a scalar subquery: an EXISTS could become a join, or a hash of everybody who is.

-- name: AcceptMessage :one
-- Step 1 of a send: the row under its final id, before anything is queued. 0 rows: the id exists.
INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, lane, client_ref, body_hash, due_at, expires_at, trace)
VALUES (@company_id, @phone, @message_id, 'outgoing', 'accepted', @shard, @kind, @chat, @lane, sqlc.narg(client_ref), @body_hash,
    coalesce(sqlc.narg(due_at)::timestamptz, now()), coalesce(sqlc.narg(due_at)::timestamptz, now()) + make_interval(secs => sqlc.narg(ttl)::float8),
    jsonb_build_array(jsonb_build_object('status', 'accepted', 'at', now())))
ON CONFLICT (company_id, direction, message_id) DO NOTHING
RETURNING id;

-- name: AcceptQueued :one
-- Steps 1 to 3 at once, where hosts read this database: the row is queued as soon as it is there. 0 rows: the id exists.
INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, lane, client_ref, body, body_hash, due_at, expires_at, enqueued_at, trace)
VALUES (@company_id, @phone, @message_id, 'outgoing', 'queued', @shard, @kind, @chat, @lane, sqlc.narg(client_ref), @body, @body_hash,
    coalesce(sqlc.narg(due_at)::timestamptz, now()), coalesce(sqlc.narg(due_at)::timestamptz, now()) + make_interval(secs => sqlc.narg(ttl)::float8), now(),
    jsonb_build_array(jsonb_build_object('status', 'accepted', 'at', now()), jsonb_build_object('status', 'queued', 'at', now())))
ON CONFLICT (company_id, direction, message_id) DO NOTHING
RETURNING id;

-- name: GetOutgoing :one
SELECT * FROM messages WHERE company_id || '' = @company_id AND direction = 'outgoing' AND message_id = @message_id;

-- name: GetMessage :one
SELECT * FROM messages WHERE company_id || '' = @company_id AND message_id = @message_id
ORDER BY direction DESC LIMIT 1;

-- name: MarkEnqueued :exec
UPDATE messages SET enqueued_at = coalesce(enqueued_at, now())
WHERE company_id || '' = @company_id AND direction = 'outgoing' AND message_id = @message_id;

-- name: QueueMessage :batchone
-- Step 3: the body arrives and the message waits for its turn. Idempotent, and not fenced: any host may do it. A batch of
-- these is one round trip and one commit.
UPDATE messages m SET
    body = @body, status = 'queued', reason = '', enqueued_at = coalesce(m.enqueued_at, now()),
    trace = m.trace || jsonb_strip_nulls(jsonb_build_object('status', 'queued', 'at', now(), 'host', nullif(@host_id::text, '')))
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id
  AND (m.status = 'accepted' OR (m.status = 'failed' AND m.reason = 'not_enqueued'))
RETURNING m.company_id;

-- name: PeekOutbox :many
-- The next messages to send, none of a chat that an undecided message holds. Rows of batches are looked up through the
-- company's running batches, the oldest few that have something due: what a paused one has waiting is not even read.
SELECT p.id, p.message_id, p.phone, p.chat, p.kind, p.lane, p.body, p.wire, p.attempt, p.client_ref, p.created_at, p.expires_at,
    now()::timestamptz AS at,
    coalesce((SELECT true FROM suppressions x WHERE x.company_id = @company_id AND x.address = p.phone), false)::boolean AS suppressed
FROM (
    (SELECT m.* FROM messages m
    WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.status = 'queued' AND m.batch IS NULL AND m.due_at <= now()
      AND (m.expires_at IS NULL OR m.expires_at > now())
      AND NOT EXISTS (SELECT 1 FROM messages held WHERE held.company_id || '' = m.company_id || '' AND held.direction = 'outgoing'
                      AND held.chat = m.chat AND held.status IN ('sending', 'unconfirmed'))
    ORDER BY m.lane, m.id
    LIMIT @page_size::integer)
    UNION ALL
    SELECT r.* FROM (
        SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.status = 'running' AND b.ended_at IS NULL
          AND (SELECT 1 FROM messages w WHERE w.company_id || '' = @company_id AND w.batch + 0 = b.id AND w.status = 'queued'
               AND w.due_at <= now() LIMIT 1) IS NOT NULL
        ORDER BY b.id + 0 LIMIT 16
    ) running CROSS JOIN LATERAL (
        SELECT m.* FROM messages m
        WHERE m.company_id || '' = @company_id AND m.batch + 0 = running.id AND m.status = 'queued' AND m.due_at <= now()
          AND (m.expires_at IS NULL OR m.expires_at > now())
          AND NOT EXISTS (SELECT 1 FROM messages held WHERE held.company_id || '' = m.company_id || '' AND held.direction = 'outgoing'
                          AND held.chat = m.chat AND held.status IN ('sending', 'unconfirmed'))
        ORDER BY m.due_at, m.batch_row
        LIMIT @page_size::integer
    ) r
) p
ORDER BY p.lane, p.id
LIMIT @page_size::integer;

-- name: BeginSending :execrows
-- Step 4, guarded: queued → sending. What is on the wire is fixed here, before the first attempt. The lock on a row's batch
-- makes a pause or a cancellation wait for claims under way, so that none is committed after its answer.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE)
UPDATE messages m SET
    status = 'sending', attempt = m.attempt + 1, term = @term::uuid, incarnation = @incarnation::uuid,
    wire = coalesce(m.wire, @wire), reason = '',
    trace = m.trace || jsonb_build_object('status', 'sending', 'at', now(), 'host', @host_id::text, 'attempt', m.attempt + 1)
FROM fence
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id AND m.status || '' = 'queued'
  AND (m.expires_at IS NULL OR m.expires_at > now())
  AND (m.batch IS NULL OR (SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.id = m.batch AND b.status = 'running' FOR KEY SHARE) IS NOT NULL)
  AND (SELECT true FROM suppressions x WHERE x.company_id = m.company_id AND x.address = m.phone) IS NULL;

-- name: ResumeSending :execrows
-- unconfirmed → sending, under the same id: the server and the other side fold the copies.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE)
UPDATE messages m SET
    status = 'sending', attempt = m.attempt + 1, resends = m.resends + 1, term = @term::uuid, incarnation = @incarnation::uuid,
    trace = m.trace || jsonb_build_object('status', 'sending', 'at', now(), 'host', @host_id::text, 'attempt', m.attempt + 1, 'reason', 'resend')
FROM fence
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id AND m.status || '' = 'unconfirmed';

-- name: MoveMessage :one
-- A guarded step of the status ladder, inside a transaction that holds the fence. 0 rows: it is no longer in
-- one of the states it may come from.
UPDATE messages m SET
    status = @status::text, reason = @reason::text,
    sent_at = CASE WHEN @status::text IN ('sent', 'delivered', 'read', 'played') THEN coalesce(m.sent_at, now()) ELSE m.sent_at END,
    delivered_at = CASE WHEN @status::text IN ('delivered', 'read', 'played') THEN coalesce(m.delivered_at, now()) ELSE m.delivered_at END,
    read_at = CASE WHEN @status::text IN ('read', 'played') THEN coalesce(m.read_at, now()) ELSE m.read_at END,
    played_at = CASE WHEN @status::text = 'played' THEN coalesce(m.played_at, now()) ELSE m.played_at END,
    due_at = CASE WHEN @status::text = 'queued' THEN now() + make_interval(secs => @delay::float8) ELSE m.due_at END,
    trace = m.trace || jsonb_strip_nulls(jsonb_build_object('status', @status::text, 'at', now(), 'host', nullif(@host_id::text, ''),
        'reason', nullif(@reason::text, '')))
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id AND m.status = ANY(@from_states::text[])
  -- Of all failures only one can be lifted again.
  AND (m.status <> 'failed' OR m.reason = 'not_enqueued' OR @status::text NOT IN ('accepted', 'queued'))
RETURNING m.message_id, m.phone, m.kind, m.client_ref, m.created_at, now()::timestamptz AS at;

-- name: DescribeMessage :one
-- What an event tells of a message beside its new status.
SELECT phone, kind, client_ref, now()::timestamptz AS at FROM messages
WHERE company_id || '' = @company_id AND direction = 'outgoing' AND message_id = @message_id;

-- name: AdvanceMessage :one
-- MoveMessage with the event that tells of it, and BeginSending of the next message of the outbox: all that happens to a
-- message between its frame and the next one's, in one fenced statement. An empty next_id is no message.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
begun AS (
    UPDATE messages m SET
        status = 'sending', attempt = m.attempt + 1, term = @term::uuid, incarnation = @incarnation::uuid,
        wire = coalesce(m.wire, @next_wire::bytea), reason = '',
        trace = m.trace || jsonb_build_object('status', 'sending', 'at', now(), 'host', @host_id::text, 'attempt', m.attempt + 1)
    FROM fence
    WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @next_id AND m.status || '' = 'queued'
      AND (m.expires_at IS NULL OR m.expires_at > now())
      AND (m.batch IS NULL OR (SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.id = m.batch AND b.status = 'running' FOR KEY SHARE) IS NOT NULL)
      AND (SELECT true FROM suppressions x WHERE x.company_id = m.company_id AND x.address = m.phone) IS NULL
    RETURNING m.id
), moved AS (
    UPDATE messages m SET
        status = @status::text, reason = @reason::text,
        sent_at = CASE WHEN @status::text IN ('sent', 'delivered', 'read', 'played') THEN coalesce(m.sent_at, now()) ELSE m.sent_at END,
        delivered_at = CASE WHEN @status::text IN ('delivered', 'read', 'played') THEN coalesce(m.delivered_at, now()) ELSE m.delivered_at END,
        read_at = CASE WHEN @status::text IN ('read', 'played') THEN coalesce(m.read_at, now()) ELSE m.read_at END,
        played_at = CASE WHEN @status::text = 'played' THEN coalesce(m.played_at, now()) ELSE m.played_at END,
        due_at = CASE WHEN @status::text = 'queued' THEN now() + make_interval(secs => @delay::float8) ELSE m.due_at END,
        trace = m.trace || jsonb_strip_nulls(jsonb_build_object('status', @status::text, 'at', now(), 'host', nullif(@host_id::text, ''),
            'reason', nullif(@reason::text, '')))
    FROM fence
    WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id AND m.status = ANY(@from_states::text[])
      -- Of all failures only one can be lifted again.
      AND (m.status <> 'failed' OR m.reason = 'not_enqueued' OR @status::text NOT IN ('accepted', 'queued'))
    -- Went out now for the first time; and had failed before, where a receipt says so.
    RETURNING coalesce(m.sent_at = now(), false) AS went_out,
        CASE WHEN m.sent_at = now() AND @status::text <> 'sent' THEN
            jsonb_path_exists(m.trace, '$[*] ? (@.status == "failed" && !(@.reason == "not_enqueued"))') ELSE false END AS had_failed
), seq AS (
    UPDATE company_seq s SET seq = s.seq + 1,
        sent = s.sent + moved.went_out::integer,
        failed = s.failed + (@status::text = 'failed' AND @reason::text <> 'not_enqueued')::integer - moved.had_failed::integer
    FROM moved WHERE s.company_id = @company_id AND @event_type::text <> '' RETURNING s.seq
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
SELECT EXISTS (SELECT FROM fence)::boolean AS held, EXISTS (SELECT FROM begun)::boolean AS begun,
    EXISTS (SELECT FROM moved)::boolean AS moved, now()::timestamptz AS at,
    ARRAY(SELECT told.id FROM told)::uuid[] AS deliveries;

-- name: DoubtStaleSends :many
-- What another incarnation was sending may or may not have gone out. Inside a transaction that holds the fence.
UPDATE messages m SET status = 'unconfirmed', reason = @reason::text,
    trace = m.trace || jsonb_build_object('status', 'unconfirmed', 'at', now(), 'host', @host_id::text, 'reason', @reason::text)
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.status = 'sending' AND m.incarnation <> @incarnation::uuid
RETURNING m.message_id, m.phone, m.kind, m.client_ref, m.created_at, now()::timestamptz AS at;

-- name: ListUnconfirmed :many
SELECT id, message_id, phone, kind, client_ref, wire, attempt, resends, now()::timestamptz AS at FROM messages
WHERE company_id || '' = @company_id AND direction = 'outgoing' AND status = 'unconfirmed'
ORDER BY id + 0;

-- name: GetWire :one
-- What was sent under an id, to answer a retry receipt.
SELECT wire, phone FROM messages
WHERE company_id || '' = @company_id AND direction = 'outgoing' AND message_id = @message_id AND wire IS NOT NULL
  AND created_at > now() - interval '14 days';

-- name: ListDueCompanies :many
-- Companies of these shards that have something to send now. It hops from company to company, however much waits in each.
WITH RECURSIVE waiting AS (
    SELECT s.shard, first.company_id, first.due_at
    FROM unnest(@shards::integer[]) AS s (shard) CROSS JOIN LATERAL (
        SELECT m.company_id, m.due_at FROM messages m
        WHERE m.direction = 'outgoing' AND m.status = 'queued' AND m.shard = s.shard
        ORDER BY m.company_id, m.due_at LIMIT 1) AS first
    UNION ALL
    SELECT w.shard, following.company_id, following.due_at
    FROM waiting w CROSS JOIN LATERAL (
        SELECT m.company_id, m.due_at FROM messages m
        WHERE m.direction = 'outgoing' AND m.status = 'queued' AND m.shard = w.shard AND m.company_id > w.company_id
        ORDER BY m.company_id, m.due_at LIMIT 1) AS following
)
SELECT company_id FROM waiting WHERE due_at <= now();

-- name: DelayBatchRows :one
-- Puts off what batches have due, so many rows at a time, in one fenced statement. What people wait for has lane 0.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
waiting AS MATERIALIZED (
    (SELECT w.id FROM messages w
    WHERE w.company_id || '' = @company_id AND w.direction = 'outgoing' AND w.status = 'queued' AND w.batch IS NULL AND w.lane > 0 AND w.due_at <= now()
    ORDER BY w.lane, w.id LIMIT @most::integer)
    UNION ALL
    SELECT r.id FROM (
        SELECT b.id FROM batches b WHERE b.company_id || '' = @company_id AND b.status = 'running' AND b.ended_at IS NULL
    ) running CROSS JOIN LATERAL (
        SELECT w.id FROM messages w
        WHERE w.company_id || '' = @company_id AND w.batch + 0 = running.id AND w.status = 'queued' AND w.due_at <= now()
        ORDER BY w.due_at, w.batch_row LIMIT @most::integer
    ) r
    LIMIT @most::integer
), delayed AS (
    UPDATE messages m SET due_at = @until::timestamptz, reason = @reason::text,
        trace = m.trace || jsonb_build_object('status', 'queued', 'at', now(), 'host', @host_id::text, 'reason', @reason::text)
    FROM waiting, fence
    WHERE m.id = waiting.id AND m.company_id || '' = @company_id AND m.status || '' = 'queued'
    RETURNING m.id
)
SELECT EXISTS (SELECT FROM fence)::boolean AS held, (SELECT count(*) FROM delayed) AS delayed;

-- name: GetConfig :one
SELECT whatsapp_config FROM companies WHERE company_id = @company_id;

-- name: GetMessageStatus :one
SELECT status FROM messages WHERE company_id || '' = @company_id AND direction = 'outgoing' AND message_id = @message_id;

-- name: GetReferredMessage :one
-- What a reply, a reaction, an edit or a revoke has to know of the message that it is about.
SELECT m.message_id, m.direction, m.status, m.phone, m.chat, m.sender, m.kind, m.body, m.wa_message_id, m.created_at, m.sent_at, m.due_at,
    coalesce(s.jid, '')::text AS own_jid
FROM messages m JOIN whatsapp_sessions s ON s.company_id = m.company_id
WHERE m.company_id || '' = @company_id AND m.message_id = @message_id
ORDER BY m.direction DESC LIMIT 1;

-- name: PostponeMessage :execrows
-- A message that is not ready to be sent waits, and says why; others may overtake it.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE)
UPDATE messages m SET
    attempt = m.attempt + 1, reason = @reason::text, due_at = now() + make_interval(secs => @delay::float8),
    trace = m.trace || jsonb_build_object('status', 'queued', 'at', now(), 'host', @host_id::text, 'attempt', m.attempt + 1, 'reason', @reason::text)
FROM fence
WHERE m.company_id || '' = @company_id AND m.direction = 'outgoing' AND m.message_id = @message_id AND m.status || '' = 'queued';
