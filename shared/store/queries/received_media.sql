-- name: ListCompaniesWantingMedia :many
-- The companies of these shards whose owner has a file to fetch.
SELECT DISTINCT m.company_id FROM received_media m
WHERE m.shard = ANY(@shards::integer[]) AND m.state IN ('wanted', 'asked') AND m.due_at <= now();

-- name: ListWantedMedia :many
SELECT m.media_id, m.message_id, m.sealed_reference, m.attempt FROM received_media m
WHERE m.company_id = @company_id AND m.shard = @shard AND m.state IN ('wanted', 'asked') AND m.due_at <= now()
ORDER BY m.due_at LIMIT @page_size::integer;

-- name: SettleMedia :one
-- What came of an attempt, unless the file was stored in the meantime; held says whether the lease was.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
settled AS (
    UPDATE received_media m SET
        state = @state::text, reason = @reason, attempt = m.attempt + 1, due_at = now() + make_interval(secs => @delay::float8),
        stored_at = CASE WHEN @state::text = 'stored' THEN now() END
    FROM fence
    WHERE m.company_id = @company_id AND m.media_id = @media_id AND m.state <> 'stored'
)
SELECT EXISTS (SELECT FROM fence)::boolean AS held;

-- name: GetAskedMedia :one
-- How a file is fetched that the phone of a message's sender was asked for.
SELECT m.sealed_reference FROM received_media m
WHERE m.company_id = @company_id AND m.media_id = @media_id AND m.state || '' = 'asked';

-- name: RenewMedia :one
-- The sender's phone has uploaded a file again: it is fetched from where that is.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE),
renewed AS (
    UPDATE received_media m SET sealed_reference = @sealed_reference, state = 'wanted', reason = '', due_at = now()
    FROM fence
    WHERE m.company_id = @company_id AND m.media_id = @media_id AND m.state || '' = 'asked'
)
SELECT EXISTS (SELECT FROM fence)::boolean AS held;

-- name: WantMedia :one
-- Somebody asks for a file that is not in the media store (any more). One that could not be had is tried anew, unless that
-- was just now or there is no hope.
UPDATE received_media m SET
    state = CASE WHEN m.state IN ('known', 'stored') THEN 'wanted'
        WHEN m.state = 'failed' AND m.reason NOT IN ('damaged', 'unreadable') AND m.due_at <= now() THEN 'wanted' ELSE m.state END,
    attempt = CASE WHEN m.state IN ('known', 'stored', 'failed') THEN 0 ELSE m.attempt END,
    due_at = CASE WHEN m.state IN ('known', 'stored') THEN now() ELSE m.due_at END,
    stored_at = NULL
WHERE m.company_id = @company_id AND m.media_id = @media_id
RETURNING m.state, m.reason;
