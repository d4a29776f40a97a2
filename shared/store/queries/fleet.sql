-- name: LockFleet :one
-- First statement of whatever hosts must decide one after the other.
SELECT (breaker_opened_at IS NOT NULL)::boolean AS open FROM fleet FOR UPDATE;

-- name: CountRefusals :one
-- Notes that a company was logged out, and counts the companies of which that is true within the window, and those that
-- are linked at all.
WITH noted AS (
    INSERT INTO refusals (company_id) VALUES (@company_id) ON CONFLICT (company_id) DO UPDATE SET refused_at = now()
)
SELECT ((SELECT count(*) FROM refusals r
        WHERE r.company_id <> @company_id AND r.refused_at > now() - make_interval(secs => @window_seconds::float8)) + 1)::bigint AS refused,
       (SELECT count(*) FROM whatsapp_sessions s WHERE s.jid IS NOT NULL) AS linked;

-- name: OpenBreaker :exec
UPDATE fleet SET breaker_opened_at = now(), probe_until = '-infinity';

-- name: GetBreaker :one
SELECT (breaker_opened_at IS NOT NULL)::boolean AS open,
       coalesce(breaker_opened_at < now() - make_interval(secs => @limit_seconds::float8), false)::boolean AS expired
FROM fleet;

-- name: ClaimProbe :execrows
-- One probe at a time: 0 rows while another one is under way, or when the breaker is closed.
UPDATE fleet SET probe_until = now() + make_interval(secs => @ttl::float8)
WHERE breaker_opened_at IS NOT NULL AND probe_until < now();

-- name: CloseBreaker :execrows
WITH forgotten AS (DELETE FROM refusals)
UPDATE fleet SET breaker_opened_at = NULL, probe_until = '-infinity' WHERE breaker_opened_at IS NOT NULL;

-- name: GetVersion :one
SELECT wa_version, version_checked_at > now() - make_interval(secs => @fresh_seconds::float8) AS fresh FROM fleet;

-- name: ClaimVersion :execrows
-- One host asks WhatsApp, and not again while the answer is fresh.
UPDATE fleet SET version_claimed_until = now() + make_interval(secs => @ttl::float8)
WHERE version_claimed_until < now() AND version_checked_at < now() - make_interval(secs => @fresh_seconds::float8);

-- name: SaveVersion :exec
UPDATE fleet SET wa_version = @version, version_checked_at = now(), version_claimed_until = '-infinity';

-- name: ReleaseVersion :exec
-- Nothing came of asking; somebody else may.
UPDATE fleet SET version_claimed_until = '-infinity';

-- name: CountHosts :one
-- The hosts that are alive, by their sign of life of every second.
SELECT count(*) FROM hosts WHERE heartbeat_at > now() - interval '15 seconds';

-- name: ClaimCleanUp :execrows
-- One host cleans the device store, and none again before the time.
UPDATE fleet SET devices_cleaning_until = now() + make_interval(secs => @ttl::float8)
WHERE devices_cleaning_until < now() AND devices_cleaned_at < now() - make_interval(secs => @period::float8);

-- name: SaveCleanUp :exec
UPDATE fleet SET devices_cleaned_at = now(), devices_cleaning_until = '-infinity';
