-- name: GetSessions :many
-- Sessions with the identities that belong to them, for each address that has one of the two.
SELECT a.address::text AS address, s.sealed_session, i.identity
FROM (SELECT unnest(@addresses::text[]) AS address) a
LEFT JOIN device_sessions s ON s.company_id = @company_id AND s.jid = @jid AND s.address = a.address
LEFT JOIN device_identities i ON i.company_id = @company_id AND i.jid = @jid AND i.address = a.address;

-- name: Keep :one
-- All that one piece of work has to store: a decryption, or the encryption of a message for all its devices.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), put_sessions AS (
    INSERT INTO device_sessions (company_id, jid, address, sealed_session)
    SELECT @company_id, @jid, n.address, n.sealed
    FROM (SELECT unnest(@session_addresses::text[]) AS address, unnest(@sessions::bytea[]) AS sealed) n, fence
    ON CONFLICT (company_id, jid, address) DO UPDATE SET sealed_session = excluded.sealed_session
), put_identities AS (
    INSERT INTO device_identities (company_id, jid, address, identity)
    SELECT @company_id, @jid, n.address, n.identity
    FROM (SELECT unnest(@identity_addresses::text[]) AS address, unnest(@identities::bytea[]) AS identity) n, fence
    ON CONFLICT (company_id, jid, address) DO UPDATE SET identity = excluded.identity
), put_sender_keys AS (
    INSERT INTO device_sender_keys (company_id, jid, chat, sender, sealed_key)
    SELECT @company_id, @jid, n.chat, n.sender, n.sealed
    FROM (SELECT unnest(@sender_key_chats::text[]) AS chat, unnest(@sender_key_senders::text[]) AS sender, unnest(@sender_keys::bytea[]) AS sealed) n, fence
    ON CONFLICT (company_id, jid, chat, sender) DO UPDATE SET sealed_key = excluded.sealed_key
), put_secrets AS (
    INSERT INTO device_message_secrets (company_id, jid, chat, sender, message_id, sealed_secret)
    SELECT @company_id, @jid, n.chat, n.sender, n.message_id, n.sealed
    FROM (SELECT unnest(@secret_chats::text[]) AS chat, unnest(@secret_senders::text[]) AS sender, unnest(@secret_ids::text[]) AS message_id,
        unnest(@secrets::bytea[]) AS sealed) n, fence
    ON CONFLICT DO NOTHING
), put_event AS (
    INSERT INTO device_events (company_id, jid, ciphertext_hash, sealed_plaintext, server_at)
    SELECT @company_id, @jid, n.hash, n.sealed, n.server_at
    FROM (SELECT unnest(@event_hashes::bytea[]) AS hash, unnest(@events::bytea[]) AS sealed, unnest(@event_times::bigint[]) AS server_at) n, fence
), cleared AS (
    UPDATE device_events e SET sealed_plaintext = NULL
    FROM fence WHERE e.company_id = @company_id AND e.jid = @jid AND e.ciphertext_hash = ANY (@handled::bytea[])
), used_prekeys AS (
    DELETE FROM device_prekeys k USING fence WHERE k.company_id = @company_id AND k.jid = @jid AND k.key_id = ANY (@used_prekeys::integer[])
), gone_sessions AS (
    DELETE FROM device_sessions s USING fence WHERE s.company_id = @company_id AND s.jid = @jid AND s.address = ANY (@gone_sessions::text[])
), gone_identities AS (
    DELETE FROM device_identities i USING fence WHERE i.company_id = @company_id AND i.jid = @jid AND i.address = ANY (@gone_identities::text[])
), gone_sender_keys AS (
    DELETE FROM device_sender_keys g USING fence WHERE g.company_id = @company_id AND g.jid = @jid AND g.sender = ANY (@gone_senders::text[])
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: DeleteSessionsOfUser :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    DELETE FROM device_sessions s USING fence
    WHERE s.company_id = @company_id AND s.jid = @jid AND starts_with(s.address, @prefix::text)
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: DeleteIdentitiesOfUser :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    DELETE FROM device_identities i USING fence
    WHERE i.company_id = @company_id AND i.jid = @jid AND starts_with(i.address, @prefix::text)
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: ListByNumber :many
-- What MigratePNToLID moves. It is sealed for its place, so that Postgres cannot move it by itself.
SELECT 'session' AS kind, '' AS chat, s.address, s.sealed_session AS content FROM device_sessions s
WHERE s.company_id = @company_id AND s.jid = @jid AND starts_with(s.address, @prefix::text)
UNION ALL
SELECT 'identity', '', i.address, i.identity FROM device_identities i
WHERE i.company_id = @company_id AND i.jid = @jid AND starts_with(i.address, @prefix::text)
UNION ALL
SELECT 'sender_key', k.chat, k.sender, k.sealed_key FROM device_sender_keys k
WHERE k.company_id = @company_id AND k.jid = @jid AND starts_with(k.sender, @prefix::text);

