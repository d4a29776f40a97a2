-- name: ReceiveMessage :one
-- An incoming message and the event that tells of it, in one fenced statement. Not fresh: it is already here. Waiting: its
-- placeholder is, which takes its place when this is called again with the placeholder's id and no other.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
known AS (
    SELECT p.kind = 'undecryptable' AS waiting FROM messages p
    WHERE p.company_id || '' = @company_id AND p.direction = 'incoming' AND p.message_id = @placeholder_id::text
      AND (p.kind = 'undecryptable' OR p.body_hash = @digest::bytea)
), arrived AS (
    INSERT INTO messages AS m (company_id, phone, message_id, direction, status, shard, kind, chat, body, body_hash, wa_message_id, sender, sender_name, created_at, trace)
    SELECT @company_id, @phone, @message_id, 'incoming', 'received', @shard, @kind, @chat, @body,
        CASE WHEN @placeholder_id::text = '' THEN @digest::bytea END, @wa_message_id::text, @sender::text, @sender_name::text, @created_at,
        jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('status', 'received', 'at', now(), 'host', @host_id::text, 'reason', nullif(@reason::text, ''))))
    FROM fence WHERE NOT EXISTS (SELECT FROM known)
    ON CONFLICT (company_id, direction, message_id) DO UPDATE SET
        kind = excluded.kind, body = excluded.body, body_hash = excluded.body_hash, phone = excluded.phone,
        sender_name = excluded.sender_name, trace = m.trace || excluded.trace
    WHERE m.kind = 'undecryptable' AND excluded.kind <> 'undecryptable'
    RETURNING m.id
), amended AS (
    UPDATE messages t SET
        body = coalesce(sqlc.narg(amended_body)::bytea, t.body),
        trace = t.trace || jsonb_build_object('status', @amended_status::text, 'at', now(), 'host', @host_id::text)
    FROM arrived
    WHERE t.company_id || '' = @company_id AND t.direction = 'incoming' AND t.message_id = @amended_id::text
), attached AS (
    INSERT INTO received_media (media_id, company_id, message_id, sealed_reference, mime_type, shard, state)
    SELECT @media_id::text, @company_id, @message_id, @media_reference::bytea, @mime_type::text, @shard,
        CASE WHEN c.whatsapp_config->'autoDownload' = 'true'::jsonb THEN 'wanted' ELSE 'known' END
    FROM arrived, companies c
    WHERE c.company_id = @company_id AND @media_id::text <> ''
    ON CONFLICT DO NOTHING
    RETURNING state
), seq AS (
    UPDATE company_seq s SET seq = s.seq + 1, received = s.received + 1 FROM arrived WHERE s.company_id = @company_id RETURNING s.seq
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
SELECT EXISTS (SELECT FROM fence)::boolean AS held, EXISTS (SELECT FROM arrived)::boolean AS fresh, now()::timestamptz AS at,
    coalesce((SELECT bool_or(known.waiting) FROM known), false)::boolean AS waiting,
    EXISTS (SELECT FROM attached WHERE state = 'wanted')::boolean AS wanted,
    ARRAY(SELECT told.id FROM told)::uuid[] AS deliveries;

-- name: FindReferred :many
-- The messages that WhatsApp knows by an id: an incoming one, or one of ours.
SELECT m.message_id, m.direction, m.kind, m.chat, m.sender, m.body FROM messages m
WHERE m.company_id || '/' || m.wa_message_id = @company_id::text || '/' || @wa_message_id::text AND m.direction = 'incoming'
UNION ALL
SELECT m.message_id, m.direction, m.kind, m.chat, m.sender, m.body FROM messages m
WHERE m.company_id || '' = @company_id::text AND m.direction = 'outgoing' AND m.message_id = @wa_message_id::text
LIMIT 16;

-- name: Quarantine :exec
INSERT INTO quarantine (company_id, source, reason, body) VALUES (@company_id, @source, @reason, @body);
