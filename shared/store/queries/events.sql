-- name: AppendEvent :many
-- Writes an event under the company's next number, and one delivery for each endpoint that wants it.
-- The last statement of its transaction: the counter's row lock orders the commits.
WITH seq AS (
    UPDATE company_seq s SET seq = s.seq + 1 WHERE s.company_id = @company_id RETURNING s.seq
), event AS (
    INSERT INTO events (company_id, seq, id, type, data)
    SELECT @company_id, seq.seq, @id, @type, @data FROM seq
    RETURNING seq
)
INSERT INTO webhook_deliveries (id, company_id, endpoint_id, event_seq, event_id, event_type)
SELECT gen_random_uuid(), e.company_id, e.id, event.seq, @id, @type
FROM event, webhook_endpoints e
WHERE e.company_id = @company_id AND e.enabled AND (e.events = '{}' OR @type = ANY(e.events))
RETURNING id, company_id, created_at;

-- name: AppendEvents :many
-- AppendEvent for many events of one type, under numbers that follow each other. The ids are text, because pgx cannot encode
-- uuid[] without preparing the statement.
WITH seq AS (
    UPDATE company_seq s SET seq = s.seq + cardinality(@ids::text[]) WHERE s.company_id = @company_id
    RETURNING s.seq - cardinality(@ids::text[]) AS before
), event AS (
    INSERT INTO events (company_id, seq, id, type, data)
    SELECT @company_id, seq.before + e.n, e.id::uuid, @type, e.data
    FROM seq, (SELECT unnest(@ids::text[]) AS id, unnest(@datas::bytea[]) AS data, generate_subscripts(@ids::text[], 1) AS n) e
    RETURNING seq, id
)
INSERT INTO webhook_deliveries (id, company_id, endpoint_id, event_seq, event_id, event_type)
SELECT gen_random_uuid(), e.company_id, e.id, event.seq, event.id, @type
FROM event, webhook_endpoints e
WHERE e.company_id = @company_id AND e.enabled AND (e.events = '{}' OR @type = ANY(e.events))
RETURNING id, company_id, created_at;

-- name: ListEvents :many
SELECT company_id, seq, id, type, data, created_at FROM events
WHERE company_id = @company_id AND seq > @after
ORDER BY seq LIMIT @page_size::integer;

-- name: GetEvent :one
SELECT company_id, seq, id, type, data, created_at FROM events
WHERE company_id = @company_id AND seq = @seq;
