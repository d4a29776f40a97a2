-- name: ListUnuploadedPreKeys :many
SELECT key_id, sealed_key FROM device_prekeys WHERE company_id = @company_id AND jid = @jid AND NOT uploaded
ORDER BY key_id LIMIT @at_most::bigint;

-- name: LastPreKey :one
SELECT coalesce(max(key_id), 0)::integer AS last FROM device_prekeys WHERE company_id = @company_id AND jid = @jid;

-- name: InsertPreKeys :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_prekeys (company_id, jid, key_id, sealed_key, uploaded)
    SELECT @company_id, @jid, n.key_id, n.sealed, @uploaded::boolean
    FROM (SELECT unnest(@key_ids::integer[]) AS key_id, unnest(@keys::bytea[]) AS sealed) n, fence
    ON CONFLICT DO NOTHING -- a repetition whose answer was lost
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetPreKey :one
SELECT sealed_key FROM device_prekeys WHERE company_id = @company_id AND jid = @jid AND key_id = @key_id;

-- name: MarkPreKeysUploaded :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    UPDATE device_prekeys k SET uploaded = true
    FROM fence WHERE k.company_id = @company_id AND k.jid = @jid AND k.key_id <= @up_to::integer AND NOT k.uploaded
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: CountUploadedPreKeys :one
SELECT count(*) FROM device_prekeys WHERE company_id = @company_id AND jid = @jid AND uploaded;
