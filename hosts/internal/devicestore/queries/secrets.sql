-- name: GetSenderKey :one
SELECT sealed_key FROM device_sender_keys WHERE company_id = @company_id AND jid = @jid AND chat = @chat AND sender = @sender;

-- name: GetMessageSecret :many
-- A chat or sender may have been stored under the other of its two addresses: all of them are given. The address as asked
-- for comes first.
SELECT chat, sender, sealed_secret FROM device_message_secrets
WHERE company_id = @company_id AND jid = @jid AND message_id = @message_id AND chat = ANY (@chats::text[]) AND sender = ANY (@senders::text[])
ORDER BY array_position(@chats::text[], chat), array_position(@senders::text[], sender) LIMIT 1;

-- name: PutPrivacyTokens :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_privacy_tokens (company_id, jid, contact, sealed_token, given_at)
    SELECT @company_id, @jid, n.contact, n.sealed, n.given_at
    FROM (SELECT unnest(@contacts::text[]) AS contact, unnest(@tokens::bytea[]) AS sealed, unnest(@times::bigint[]) AS given_at) n, fence
    ON CONFLICT (company_id, jid, contact) DO UPDATE SET sealed_token = excluded.sealed_token, given_at = excluded.given_at
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetPrivacyToken :many
SELECT contact, sealed_token, given_at FROM device_privacy_tokens
WHERE company_id = @company_id AND jid = @jid AND contact = ANY (@contacts::text[])
ORDER BY given_at DESC LIMIT 1;
