-- name: ReceiveMessage :one
-- An incoming message and the event that tells of it, in one fenced statement. Not fresh: it is already here.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
arrived AS (
    INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, wa_message_id, sender, sender_name, created_at, trace)
    SELECT @company_id, @phone, @message_id, 'incoming', 'received', @shard, @kind, @chat, @body, @wa_message_id::text, @sender::text, @sender_name::text, @created_at,
        jsonb_build_array(jsonb_build_object('status', 'received', 'at', now(), 'host', @host_id::text))
    FROM fence
    ON CONFLICT (company_id, direction, message_id) DO NOTHING
    RETURNING id
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
    ARRAY(SELECT told.id FROM told)::uuid[] AS deliveries;

-- name: Quarantine :exec
INSERT INTO quarantine (company_id, source, reason, body) VALUES (@company_id, @source, @reason, @body);
