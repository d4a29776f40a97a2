-- name: MeetContact :one
-- Notes that a contact has written, and returns the company's greeting for it and what makes the greeting's id. 0 rows:
-- the contact is known, or there is no greeting.
WITH met AS (
    INSERT INTO first_contacts (company_id, chat) VALUES (@company_id, @chat) ON CONFLICT DO NOTHING RETURNING chat
)
SELECT (c.whatsapp_config->>'greetingMessage')::text AS greeting, i.id_secret
FROM companies c, installation i, met
WHERE c.company_id = @company_id AND jsonb_typeof(c.whatsapp_config->'greetingMessage') = 'string'
  AND c.whatsapp_config->>'greetingMessage' <> '';

-- name: QueueGreeting :execrows
-- A send that nobody accepted: it waits in the outbox from the start. 0 rows: it is there already, or
-- the contact wants none.
INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, body_hash, enqueued_at, expires_at, trace)
SELECT @company_id::text, @phone::text, @message_id, 'outgoing', 'queued', @shard, 'text', @phone::text, @body, @body_hash, now(), now() + interval '1 day',
    jsonb_build_array(jsonb_build_object('status', 'queued', 'at', now(), 'host', @host_id::text))
WHERE NOT EXISTS (SELECT FROM suppressions x WHERE x.company_id = @company_id::text AND x.address = @phone::text)
ON CONFLICT (company_id, direction, message_id) DO NOTHING;
