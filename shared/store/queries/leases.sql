-- name: ListLeases :many
SELECT shard, host_id, term, epoch, target, expires_at > now() AS live FROM shard_lease ORDER BY shard;

-- name: SurveyLeases :one
-- What a host has to know to take its share: how many shards there are, how many of them it may take, and how many are on
-- their way to another host and have not arrived there.
SELECT count(*)::integer AS shards,
       count(*) FILTER (WHERE host_id IS NULL AND (target IS NULL OR target = @host_id::text OR expires_at < now()))::integer AS free,
       count(*) FILTER (WHERE host_id IS NULL AND target = @host_id::text)::integer AS handed,
       count(*) FILTER (WHERE host_id IS NOT NULL AND expires_at < now())::integer AS late,
       count(*) FILTER (WHERE target IS NOT NULL AND host_id IS DISTINCT FROM @host_id::text AND expires_at > now())::integer AS moving
FROM shard_lease;

-- name: ListLiveHosts :many
-- Those that gave a sign of life lately, with the shards that they hold or that are on their way to them.
SELECT h.host_id, h.peer, h.draining,
       (SELECT count(*) FROM shard_lease l WHERE coalesce(l.target, l.host_id) = h.host_id)::integer AS shards
FROM hosts h WHERE h.heartbeat_at > now() - make_interval(secs => @ttl::float8) ORDER BY h.host_id;

-- name: TakeLeases :many
-- Take-over is one guarded update, of several shards at a time: those handed to this host, free ones, those of hosts that
-- died, and late ones if asked for. It waits for nobody: a row that another host is taking, or that a write under the old
-- term holds (see HoldFence), is left for the next time. FOR UPDATE, because the term is a key column.
WITH wanted AS (
    SELECT shard FROM shard_lease
    WHERE (host_id IS NULL AND (target IS NULL OR target = @host_id::text OR expires_at < now()))
       OR host_id = ANY(@dead::text[])
       OR (@late::boolean AND host_id IS NOT NULL AND expires_at < now())
    ORDER BY (host_id IS NULL AND target IS NOT DISTINCT FROM @host_id::text) DESC, random()
    LIMIT @most FOR UPDATE SKIP LOCKED
)
UPDATE shard_lease l SET host_id = @host_id::text, term = gen_random_uuid(), epoch = epoch + 1,
    expires_at = now() + make_interval(secs => @ttl::float8),
    target = CASE WHEN l.host_id IS NULL AND l.target = @host_id::text THEN l.target END
FROM wanted w WHERE l.shard = w.shard
RETURNING l.shard, l.term::uuid AS term, l.epoch, (l.target IS NOT NULL)::boolean AS handed;

-- name: RenewLeases :many
-- The host's sign of life and all its shards in one statement. The term alone decides; what does not come back is lost.
WITH beat AS (
    INSERT INTO hosts (host_id, version, draining, peer) VALUES (@host_id, @version, @draining, @peer)
    ON CONFLICT (host_id) DO UPDATE SET heartbeat_at = now(), draining = excluded.draining, peer = excluded.peer
)
UPDATE shard_lease l SET expires_at = now() + make_interval(secs => @ttl::float8)
FROM (SELECT unnest(@shards::integer[]) AS shard, unnest(@terms::uuid[]) AS term) AS mine
WHERE l.shard = mine.shard AND l.term = mine.term
RETURNING l.shard;

-- name: AimLease :execrows
-- Says who is to have a shard next. It changes nothing until the shard is released.
UPDATE shard_lease SET target = @target::text WHERE shard = @shard AND term = @term::uuid;

-- name: SettleLease :execrows
-- Ends the move of a shard: its sessions are online with the new holder. Whoever hands over the next one is told.
WITH arrived AS (
    UPDATE shard_lease SET target = NULL WHERE shard = @shard AND term = @term::uuid AND target IS NOT NULL RETURNING shard
)
SELECT pg_notify('wafleet_leases', '') FROM arrived;

-- name: ReleaseLeases :exec
-- Frees shards, and tells who may take them: all hosts, or the one that a shard is aimed at, which has it to itself for
-- so many seconds.
WITH freed AS (
    UPDATE shard_lease l SET host_id = NULL, term = NULL,
        expires_at = CASE WHEN target IS NULL THEN '-infinity' ELSE now() + make_interval(secs => @keep::float8) END
    FROM (SELECT unnest(@shards::integer[]) AS shard, unnest(@terms::uuid[]) AS term) AS mine
    WHERE l.shard = mine.shard AND l.term = mine.term
    RETURNING coalesce(l.target, '') AS next
)
SELECT pg_notify('wafleet_leases', next) FROM (SELECT DISTINCT next FROM freed) AS told;

-- name: ReleaseAllLeases :execrows
-- Only where no host can be alive.
WITH gone AS (DELETE FROM hosts)
UPDATE shard_lease SET host_id = NULL, term = NULL, expires_at = '-infinity', target = NULL WHERE host_id IS NOT NULL;

-- name: ReleaseLeasesOfHost :exec
-- Only for a host whose process is known to have ended.
WITH gone AS (DELETE FROM hosts h WHERE h.host_id = @host_id),
freed AS (
    UPDATE shard_lease l SET host_id = NULL, term = NULL, expires_at = '-infinity', target = NULL
    WHERE l.host_id = @host_id RETURNING l.shard
)
SELECT pg_notify('wafleet_leases', '') FROM (SELECT 1 FROM freed LIMIT 1) AS told;

-- name: HoldFence :one
-- First statement of a transaction made under a lease: the row lock keeps the term until commit. 0 rows: fenced.
-- KEY SHARE is enough because the term is a key column (UNIQUE): whoever changes it waits, a renewal does not.
SELECT epoch FROM shard_lease WHERE shard = @shard AND term = @term::uuid FOR KEY SHARE;

-- name: RemoveHost :exec
-- Also forgets those that went without a word long ago.
DELETE FROM hosts WHERE host_id = @host_id OR heartbeat_at < now() - interval '1 day';

-- name: ListHosts :many
SELECT h.host_id, h.started_at, h.heartbeat_at, h.draining, h.version,
       (SELECT count(*) FROM shard_lease l WHERE l.host_id = h.host_id AND l.expires_at > now()) AS shards
FROM hosts h WHERE h.heartbeat_at > now() - interval '1 minute' ORDER BY h.host_id;

-- name: GetOwner :one
-- Whether a living host looks after a company, and which one held its shard last.
SELECT c.shard, coalesce(l.host_id, '')::text AS host_id, l.term, coalesce(l.host_id IS NOT NULL AND l.expires_at > now(), false)::boolean AS live,
       coalesce((SELECT h.draining FROM hosts h WHERE h.host_id = l.host_id), false)::boolean AS draining
FROM companies c LEFT JOIN shard_lease l ON l.shard = c.shard
WHERE c.company_id = @company_id;
