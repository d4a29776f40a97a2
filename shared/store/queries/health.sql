-- The state of the whole installation. No company's rows leave these statements, only counts of them.

-- name: MeasureFleet :one
SELECT (SELECT count(*) FROM hosts h WHERE h.heartbeat_at > now() - interval '1 minute') AS hosts,
       (SELECT count(*) FROM shard_lease) AS shards,
       (SELECT count(*) FROM shard_lease l WHERE l.host_id IS NOT NULL AND l.expires_at > now()) AS owned_shards,
       (SELECT count(*) FROM messages m WHERE m.direction = 'outgoing' AND m.status = 'accepted' AND m.enqueued_at IS NOT NULL) AS handed_over;

-- name: MeasureTraffic :one
SELECT count(*) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL) AS sent,
       count(*) FILTER (WHERE direction = 'incoming') AS received,
       coalesce(avg(extract(epoch FROM sent_at - created_at)) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL), 0)::float8 AS response_seconds
FROM messages;

-- name: CountSessionsOfHost :many
-- What a host owns: its shards, and the sessions of their companies by state. A shard without companies is a row without a state.
SELECT l.shard, coalesce(s.state, '')::text AS state, count(s.id) AS sessions
FROM shard_lease l
LEFT JOIN companies c ON c.shard = l.shard
LEFT JOIN whatsapp_sessions s ON s.company_id = c.company_id
WHERE l.host_id = @host_id::text AND l.expires_at > now()
GROUP BY l.shard, s.state;
