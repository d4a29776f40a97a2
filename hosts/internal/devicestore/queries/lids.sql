-- name: PutLIDs :one
-- A number that has moved to another LID leaves the old one, and the other way round.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), moved AS (
    DELETE FROM device_lids m USING fence
    WHERE m.company_id = @company_id AND m.pn = ANY (@pns::text[]) AND NOT EXISTS (
        SELECT 1 FROM (SELECT unnest(@lids::text[]) AS lid, unnest(@pns::text[]) AS pn) n WHERE n.lid = m.lid AND n.pn = m.pn)
    RETURNING 1
), written AS (
    INSERT INTO device_lids (company_id, lid, pn)
    SELECT @company_id, n.lid, n.pn FROM (SELECT unnest(@lids::text[]) AS lid, unnest(@pns::text[]) AS pn) n, fence
    WHERE (SELECT count(*) FROM moved) >= 0 -- after it: both touch the same unique index
    ON CONFLICT (company_id, lid) DO UPDATE SET pn = excluded.pn WHERE device_lids.pn <> excluded.pn
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: ListLIDs :many
SELECT lid, pn FROM device_lids WHERE company_id = @company_id AND (lid = ANY (@lids::text[]) OR pn = ANY (@pns::text[]));
