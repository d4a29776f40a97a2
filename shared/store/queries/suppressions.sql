-- name: Suppress :many
-- On behalf of a message: every address of the person who wrote it, from now on as one person, by number where that is known.
INSERT INTO suppressions (company_id, address, person, source, message_id)
SELECT @company_id, a.address, @person, 'message', @message_id::text FROM unnest(@addresses::text[]) AS a (address)
ON CONFLICT (company_id, address) DO UPDATE SET
    person = CASE WHEN excluded.person LIKE '%@lid' THEN suppressions.person ELSE excluded.person END
RETURNING address;

-- name: AddSuppression :one
-- 0 rows: it is there.
INSERT INTO suppressions (company_id, address, person, source, note) VALUES (@company_id, @address, @address, 'api', @note)
ON CONFLICT (company_id, address) DO NOTHING
RETURNING *;

-- name: GetSuppression :one
-- By any address of the person.
SELECT sqlc.embed(s), coalesce((SELECT o.address FROM suppressions o WHERE o.company_id || '' = s.company_id AND o.person = s.person AND o.address <> s.person LIMIT 1), '')::text AS also
FROM suppressions s
WHERE s.company_id = @company_id
  AND s.address = (SELECT a.person FROM suppressions a WHERE a.company_id = @company_id AND a.address = @address);

-- name: ListSuppressions :many
SELECT sqlc.embed(s), coalesce((SELECT o.address FROM suppressions o WHERE o.company_id || '' = s.company_id AND o.person = s.person AND o.address <> s.person LIMIT 1), '')::text AS also
FROM suppressions s
WHERE s.company_id = @company_id AND s.address > @after::text AND s.address = s.person
ORDER BY s.address LIMIT @page_size::integer;

-- name: LiftSuppression :execrows
-- All addresses of the person, whichever of them is named.
DELETE FROM suppressions s
WHERE s.company_id || '' = @company_id
  AND s.person = (SELECT a.person FROM suppressions a WHERE a.company_id = @company_id AND a.address = @address);

-- name: ListSuppressed :many
-- Which of these addresses want nothing.
SELECT address FROM suppressions WHERE company_id = @company_id AND address = ANY(@addresses::text[]);
