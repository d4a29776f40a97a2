-- The state of the whole installation. No company's rows leave these statements, only counts of them.

-- name: MeasureFleet :one
SELECT (SELECT count(*) FROM hosts h WHERE h.heartbeat_at > now() - interval '1 minute') AS hosts,
       (SELECT count(*) FROM shard_lease) AS shards,
       (SELECT count(*) FROM shard_lease l WHERE l.host_id IS NOT NULL AND l.expires_at > now()) AS owned_shards,
       (SELECT count(*) FROM messages m WHERE m.direction = 'outgoing' AND m.status = 'accepted' AND m.enqueued_at IS NOT NULL) AS handed_over;

-- name: MeasureTraffic :one
-- What all messages came to. How long they took is that of the newest thousand.
SELECT coalesce(sum(q.sent), 0)::bigint AS sent, coalesce(sum(q.received), 0)::bigint AS received,
    coalesce((SELECT avg(extract(epoch FROM n.sent_at - n.created_at))
        FROM (SELECT m.direction, m.sent_at, m.created_at FROM messages m ORDER BY m.id DESC LIMIT 1000) AS n
        WHERE n.direction = 'outgoing' AND n.sent_at IS NOT NULL), 0)::float8 AS response_seconds
FROM company_seq q;

-- name: ListConnections :many
-- Since when each session is connected; nothing more, because there are thousands.
SELECT company_id, connected_at FROM whatsapp_sessions ORDER BY company_id;

-- name: CountSessionsOfHost :many
-- What a host owns: its shards, and the sessions of their companies by state. A shard without companies is a row without a state.
SELECT l.shard, coalesce(s.state, '')::text AS state, count(s.id) AS sessions
FROM shard_lease l
LEFT JOIN companies c ON c.shard = l.shard
LEFT JOIN whatsapp_sessions s ON s.company_id = c.company_id
WHERE l.host_id = @host_id::text AND l.expires_at > now()
GROUP BY l.shard, s.state;
