-- name: ListLeases :many
SELECT shard, host_id, term, epoch, target, expires_at > now() AS live FROM shard_lease ORDER BY shard;

-- name: SurveyLeases :one
-- What a host has to know to take its share: all shards, those nobody holds, those whose holder is late, and how many
-- hosts there are to share them.
SELECT count(*) AS shards,
       coalesce(array_agg(shard ORDER BY shard) FILTER (WHERE host_id IS NULL), '{}')::integer[] AS free,
       coalesce(array_agg(shard ORDER BY shard) FILTER (WHERE host_id IS NOT NULL AND expires_at < now()), '{}')::integer[] AS expired,
       (SELECT count(*) FROM hosts h WHERE NOT h.draining AND h.heartbeat_at > now() - make_interval(secs => @ttl::float8)) AS hosts
FROM shard_lease;

-- name: TakeLease :one
-- Take-over is one guarded update, which waits for the writes under the old term (see HoldFence). 0 rows: somebody holds it.
UPDATE shard_lease SET host_id = @host_id::text, term = gen_random_uuid(), epoch = epoch + 1,
    expires_at = now() + make_interval(secs => @ttl::float8), target = NULL
WHERE shard = @shard AND (host_id IS NULL OR (@expired::boolean AND expires_at < now()))
RETURNING term::uuid AS term, epoch;

-- name: RenewLeases :many
-- The host's sign of life and all its shards in one statement. The term alone decides; what does not come back is lost.
WITH beat AS (
    INSERT INTO hosts (host_id, version, draining) VALUES (@host_id, @version, @draining)
    ON CONFLICT (host_id) DO UPDATE SET heartbeat_at = now(), draining = excluded.draining
)
UPDATE shard_lease l SET expires_at = now() + make_interval(secs => @ttl::float8)
FROM (SELECT unnest(@shards::integer[]) AS shard, unnest(@terms::uuid[]) AS term) AS mine
WHERE l.shard = mine.shard AND l.term = mine.term
RETURNING l.shard;

-- name: ReleaseLeases :execrows
UPDATE shard_lease l SET host_id = NULL, term = NULL, expires_at = '-infinity', target = NULL
FROM (SELECT unnest(@shards::integer[]) AS shard, unnest(@terms::uuid[]) AS term) AS mine
WHERE l.shard = mine.shard AND l.term = mine.term;

-- name: ReleaseAllLeases :execrows
-- Only where no host can be alive.
WITH gone AS (DELETE FROM hosts)
UPDATE shard_lease SET host_id = NULL, term = NULL, expires_at = '-infinity', target = NULL WHERE host_id IS NOT NULL;

-- name: ReleaseLeasesOfHost :execrows
-- Only for a host whose process is known to have ended.
WITH gone AS (DELETE FROM hosts h WHERE h.host_id = @host_id)
UPDATE shard_lease l SET host_id = NULL, term = NULL, expires_at = '-infinity', target = NULL WHERE l.host_id = @host_id;

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

-- name: CountLiveShards :one
SELECT count(*) FILTER (WHERE host_id IS NOT NULL AND expires_at > now()) AS live, count(*) AS total FROM shard_lease;

-- name: GetOwner :one
-- Whether a living host looks after a company, and which one held its shard last.
SELECT c.shard, coalesce(l.host_id, '')::text AS host_id, l.term, coalesce(l.host_id IS NOT NULL AND l.expires_at > now(), false)::boolean AS live,
       coalesce((SELECT h.draining FROM hosts h WHERE h.host_id = l.host_id), false)::boolean AS draining
FROM companies c LEFT JOIN shard_lease l ON l.shard = c.shard
WHERE c.company_id = @company_id;
