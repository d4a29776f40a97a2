-- name: PutAppStateKey :one
-- Only a newer key replaces one of the same id.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_app_state_keys (company_id, jid, key_id, sealed_key, fingerprint, made_at)
    SELECT @company_id, @jid, @key_id, @sealed_key, @fingerprint, @made_at FROM fence
    ON CONFLICT (company_id, jid, key_id) DO UPDATE
        SET sealed_key = excluded.sealed_key, fingerprint = excluded.fingerprint, made_at = excluded.made_at
        WHERE excluded.made_at > device_app_state_keys.made_at
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetAppStateKey :one
SELECT sealed_key, fingerprint, made_at FROM device_app_state_keys WHERE company_id = @company_id AND jid = @jid AND key_id = @key_id;

-- name: LatestAppStateKey :one
SELECT key_id FROM device_app_state_keys WHERE company_id = @company_id AND jid = @jid ORDER BY made_at DESC LIMIT 1;

-- name: PutAppState :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_app_state (company_id, jid, name, version, hash)
    SELECT @company_id, @jid, @name, @version, @hash FROM fence
    ON CONFLICT (company_id, jid, name) DO UPDATE SET version = excluded.version, hash = excluded.hash
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetAppState :one
SELECT version, hash FROM device_app_state WHERE company_id = @company_id AND jid = @jid AND name = @name;

-- name: DeleteAppState :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    DELETE FROM device_app_state s USING fence WHERE s.company_id = @company_id AND s.jid = @jid AND s.name = @name
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: PutAppStateMACs :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_app_state_macs (company_id, jid, name, index_mac, version, value_mac)
    SELECT @company_id, @jid, @name, n.index_mac, @version, n.value_mac
    FROM (SELECT unnest(@index_macs::bytea[]) AS index_mac, unnest(@value_macs::bytea[]) AS value_mac) n, fence
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: DeleteAppStateMACs :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    DELETE FROM device_app_state_macs m USING fence
    WHERE m.company_id = @company_id AND m.jid = @jid AND m.name = @name AND m.index_mac = ANY (@index_macs::bytea[])
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetAppStateMAC :one
SELECT value_mac FROM device_app_state_macs WHERE company_id = @company_id AND jid = @jid AND name = @name AND index_mac = @index_mac
ORDER BY version DESC LIMIT 1;
