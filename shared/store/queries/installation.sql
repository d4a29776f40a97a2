-- name: CreateInstallation :exec
INSERT INTO installation (shards, id_secret)
VALUES (@shards, sha256(convert_to(gen_random_uuid()::text || gen_random_uuid()::text || gen_random_uuid()::text, 'UTF8')))
ON CONFLICT DO NOTHING;

-- name: CreateLeases :exec
INSERT INTO shard_lease (shard)
SELECT generate_series(0, (SELECT shards FROM installation) - 1)
ON CONFLICT DO NOTHING;

-- name: GetInstallation :one
SELECT shards, id_secret FROM installation;

-- name: EnsurePartitions :exec
SELECT ensure_partitions(@ahead);
