-- The statements of this package. What they call is in the migration, with the reasons.

-- name: SendStandard :batchexec
SELECT queue_send_standard(@queue, @group_id, make_interval(secs => @delay_seconds::float8), @body);

-- name: SendFIFO :batchexec
SELECT queue_send_fifo(@queue, @group_id, @dedup_id, @body);

-- name: ReceiveStandard :many
SELECT * FROM queue_take_standard(@queue, @most::integer, make_interval(secs => @visibility_seconds::float8), @max_receives, @dead, @poll);

-- name: ReceiveFIFO :many
SELECT * FROM queue_take_fifo(@queue, @most::integer, make_interval(secs => @visibility_seconds::float8), @max_receives, @dead, @poll);

-- name: DeleteStandard :many
SELECT queue_delete_standard(@queue, @ids::bigint[], @counts::integer[])::bigint AS stale;

-- name: DeleteFIFO :many
SELECT queue_delete_fifo(@queue, @ids::bigint[], @counts::integer[])::bigint AS stale;

-- name: ExtendStandard :many
SELECT queue_extend_standard(@queue, @ids::bigint[], @counts::integer[], make_interval(secs => @visibility_seconds::float8))::bigint AS extended;

-- name: ExtendFIFO :many
SELECT queue_extend_fifo(@queue, @ids::bigint[], @counts::integer[], make_interval(secs => @visibility_seconds::float8))::bigint AS extended;

-- name: NextDue :many
-- For each queue that has anything: in how many seconds its first message may be received; not above 0 means now.
SELECT due.queue::text AS queue, extract(epoch FROM due.at - clock_timestamp())::float8 AS seconds
FROM (
    SELECT q.queue, least(
        (SELECT min(g.free_at) FROM queue_fifo_groups g WHERE g.queue || '' = q.queue),
        (SELECT min(m.visible_at) FROM queue_standard m WHERE m.queue = q.queue)) AS at
    FROM unnest(@queues::text[]) AS q (queue)
) due
WHERE due.at IS NOT NULL;

-- name: ForgetDuplicates :execrows
DELETE FROM queue_fifo_dedup d WHERE (d.queue, d.group_id, d.dedup_id) IN (
    SELECT e.queue, e.group_id, e.dedup_id FROM queue_fifo_dedup e
    WHERE e.expires_at <= now() ORDER BY e.expires_at LIMIT @most::integer FOR UPDATE SKIP LOCKED);

-- name: Expire :one
SELECT queue_expire(@queue, make_interval(secs => @retention_seconds::float8))::bigint AS dropped;
