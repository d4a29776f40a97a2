-- name: InsertIncoming :execrows
-- 0 rows: the message is already here.
INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, wa_message_id, sender, sender_name, created_at, trace)
VALUES (@company_id, @phone, @message_id, 'incoming', 'received', @shard, @kind, @chat, @body, @wa_message_id, @sender, @sender_name, @created_at,
    jsonb_build_array(jsonb_build_object('status', 'received', 'at', now(), 'host', @host_id::text)))
ON CONFLICT (company_id, direction, message_id) DO NOTHING;

-- name: Quarantine :exec
INSERT INTO quarantine (company_id, source, reason, body) VALUES (@company_id, @source, @reason, @body);

-- name: CountTraffic :one
SELECT count(*) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE direction = 'incoming') AS received
FROM messages WHERE company_id = @company_id;
