-- Every write holds the fence in its own statement and answers whether it did: false means that nothing was written.
-- FOR KEY SHARE: a take-over waits for the writer, a renewal does not (migrations/00001_init.sql).

-- name: InsertDevice :one
-- Under a tombstone until the company is bound to it. Replaces what is left of a device of the same JID, keys and all:
-- the new generation gets new children, so the old row goes first, in a statement of its own (DeleteDevice).
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO devices (company_id, jid, lid, registration_id, sealed_keys, signed_prekey_id, signed_prekey_sig, account_details,
        account_sig, account_sig_key, device_sig, platform, business_name, push_name, facebook_uuid, lid_migration_at)
    SELECT @company_id, @jid, @lid, @registration_id, @sealed_keys, @signed_prekey_id, @signed_prekey_sig, @account_details,
        @account_sig, @account_sig_key, @device_sig, @platform, @business_name, @push_name, @facebook_uuid, @lid_migration_at
    FROM fence
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: UpdateDevice :one
-- What changes after a pairing. The keys never do.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    UPDATE devices d SET lid = @lid, platform = @platform, business_name = @business_name, push_name = @push_name,
        lid_migration_at = @lid_migration_at
    FROM fence WHERE d.company_id = @company_id AND d.jid = @jid
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: BuryDevice :one
-- A device that is tombstoned already keeps the date.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    UPDATE devices d SET tombstoned_at = now()
    FROM fence WHERE d.company_id = @company_id AND d.jid = @jid AND d.tombstoned_at IS NULL
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: LiftTombstone :one
-- No device is an answer of its own here.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), lifted AS (
    UPDATE devices d SET tombstoned_at = NULL
    FROM fence WHERE d.company_id = @company_id AND d.jid = @jid AND d.tombstoned_at IS NOT NULL
    RETURNING 1
)
SELECT EXISTS (SELECT 1 FROM fence) AS held, EXISTS (SELECT 1 FROM lifted) AS found;

-- name: DeleteDevice :one
-- Everything else of the device goes with its row.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    DELETE FROM devices d USING fence WHERE d.company_id = @company_id AND d.jid = @jid
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetDevice :one
-- With what a login asks first: how many prekeys are left (counted no further than the limit), and whether the pair of the
-- device's own addresses is in the LID map.
SELECT sqlc.embed(d), p.prekeys, m.mapped
FROM devices d
CROSS JOIN LATERAL (SELECT count(*) AS prekeys FROM (SELECT 1 FROM device_prekeys k
    WHERE k.company_id = d.company_id AND k.jid = d.jid AND k.uploaded LIMIT @prekey_limit::bigint) few) p
CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM device_lids m WHERE m.company_id = d.company_id
    AND m.lid = split_part(split_part(d.lid, '@', 1), ':', 1) AND m.pn = split_part(split_part(d.jid, '@', 1), ':', 1)) AS mapped) m
WHERE d.company_id = @company_id AND d.jid = @jid AND d.tombstoned_at IS NULL;

-- name: ListDevicesOfShard :many
-- GetDevice for all companies of a shard that are to run: a cold start has one round trip instead of thousands.
SELECT sqlc.embed(d), p.prekeys, m.mapped
FROM companies c
JOIN whatsapp_sessions s ON s.company_id = c.company_id AND s.desired_state = 'running'
JOIN devices d ON d.company_id = c.company_id AND d.jid = s.jid
CROSS JOIN LATERAL (SELECT count(*) AS prekeys FROM (SELECT 1 FROM device_prekeys k
    WHERE k.company_id = d.company_id AND k.jid = d.jid AND k.uploaded LIMIT @prekey_limit::bigint) few) p
CROSS JOIN LATERAL (SELECT EXISTS (SELECT 1 FROM device_lids m WHERE m.company_id = d.company_id
    AND m.lid = split_part(split_part(d.lid, '@', 1), ':', 1) AND m.pn = split_part(split_part(d.jid, '@', 1), ':', 1)) AS mapped) m
WHERE c.shard = @shard AND d.tombstoned_at IS NULL;

-- name: CleanUpEvents :execrows
-- For all companies, once a day.
DELETE FROM device_events WHERE created_at < now() - make_interval(secs => @age::float8);

-- name: CleanUpDevices :execrows
-- For all companies, once a day.
DELETE FROM devices WHERE tombstoned_at < now() - make_interval(secs => @age::float8);
