-- What a company's messages were. Each statement reads a bounded number of rows, however long a history is: it looks through as
-- many messages as it is told to, and whoever wants more goes on from there.

-- name: ListHistory :many
SELECT sqlc.embed(m) FROM (
    SELECT s.id FROM messages s WHERE s.company_id = @company_id AND s.id < @below::bigint ORDER BY s.id DESC LIMIT @most::integer
) looked
JOIN messages m ON m.id = looked.id
WHERE m.company_id || '' = @company_id AND (@direction::text = '' OR m.direction = @direction::text) AND (@status::text = '' OR m.status = @status::text)
ORDER BY looked.id DESC LIMIT @page_size::integer;

-- name: EndOfHistory :one
-- Where ListHistory stopped looking. No row: at the oldest message.
SELECT s.id FROM messages s WHERE s.company_id = @company_id AND s.id < @below::bigint
ORDER BY s.id DESC LIMIT 1 OFFSET @skip::integer;

-- name: ListChat :many
-- ListHistory of one chat, which may go by several addresses.
SELECT sqlc.embed(m) FROM (
    SELECT s.id FROM unnest(@chats::text[]) AS c (chat)
    CROSS JOIN LATERAL (
        SELECT n.id FROM messages n
        WHERE n.company_id || '/' || n.chat = @company_id::text || '/' || c.chat AND n.company_id || '' = @company_id::text AND n.id < @below::bigint
        ORDER BY n.id DESC LIMIT @most::integer
    ) s
    ORDER BY s.id DESC LIMIT @most::integer
) looked
JOIN messages m ON m.id = looked.id
WHERE m.company_id || '' = @company_id::text AND (@direction::text = '' OR m.direction = @direction::text) AND (@status::text = '' OR m.status = @status::text)
ORDER BY looked.id DESC LIMIT @page_size::integer;

-- name: EndOfChat :one
SELECT s.id FROM unnest(@chats::text[]) AS c (chat)
CROSS JOIN LATERAL (
    SELECT n.id FROM messages n
    WHERE n.company_id || '/' || n.chat = @company_id::text || '/' || c.chat AND n.company_id || '' = @company_id::text AND n.id < @below::bigint
    ORDER BY n.id DESC LIMIT @most::integer
) s
ORDER BY s.id DESC LIMIT 1 OFFSET @skip::integer;

-- name: ListOtherAddresses :many
-- Somebody's LID by the number, or number by the LID.
SELECT l.lid AS address FROM device_lids l WHERE l.company_id = @company_id AND l.pn = @address
UNION
SELECT l.pn FROM device_lids l WHERE l.company_id = @company_id AND l.lid = @address;
