-- name: CreateEndpoint :one
INSERT INTO webhook_endpoints (id, company_id, url, events, secret, legacy_signature)
VALUES (@id, @company_id, @url, @events, @secret, @legacy_signature)
RETURNING *;

-- name: GetEndpoint :one
SELECT * FROM webhook_endpoints WHERE company_id = @company_id AND id = @id;

-- name: ListEndpoints :many
SELECT * FROM webhook_endpoints WHERE company_id = @company_id ORDER BY created_at, id;

-- name: CountEndpoints :one
SELECT count(*) FROM webhook_endpoints WHERE company_id = @company_id;

-- name: UpdateEndpoint :one
-- What is not given stays as it is. A new URL, or enabling, is a new start: failures so far count no more.
UPDATE webhook_endpoints SET
    url = coalesce(sqlc.narg(url), url),
    events = coalesce(sqlc.narg(events)::text[], events),
    legacy_signature = coalesce(sqlc.narg(legacy_signature), legacy_signature),
    enabled = coalesce(sqlc.narg(enabled), enabled),
    disabled_reason = CASE WHEN sqlc.narg(enabled)::boolean THEN '' WHEN enabled AND NOT sqlc.narg(enabled)::boolean THEN @reason::text ELSE disabled_reason END,
    failures = CASE WHEN @afresh::boolean THEN 0 ELSE failures END,
    failing_since = CASE WHEN NOT @afresh::boolean THEN failing_since END,
    probe_at = CASE WHEN NOT @afresh::boolean THEN probe_at END
WHERE company_id = @company_id AND id = @id
RETURNING *;

-- name: DeleteEndpoint :execrows
-- Its deliveries stay until somebody comes for them (BuryOrphan).
DELETE FROM webhook_endpoints WHERE company_id = @company_id AND id = @id;

-- name: FindCompanyOfEndpoint :one
SELECT company_id FROM webhook_endpoints WHERE id = @id;

-- name: RotateEndpointSecret :one
-- The secret so far signs beside the new one for a while.
UPDATE webhook_endpoints SET secret = @secret, previous_secret = secret, previous_until = now() + make_interval(secs => @overlap::float8)
WHERE company_id = @company_id AND id = @id
RETURNING *;

-- name: LockEndpointOfDelivery :one
-- The endpoint of a delivery that is due, locked until the end of the transaction: claims of one endpoint queue up here,
-- so that each sees what the one before it did. 0 rows: done, not due, in other hands, or without an endpoint.
SELECT e.id, e.url, e.enabled, e.secret, e.legacy_signature, e.failures,
    (CASE WHEN e.previous_until > now() THEN e.previous_secret END)::bytea AS previous_secret,
    (coalesce(e.probe_at > now(), false))::boolean AS held,
    d.attempts, d.skipped
FROM webhook_deliveries d JOIN webhook_endpoints e ON e.company_id = d.company_id AND e.id = d.endpoint_id
WHERE d.company_id = @company_id AND d.id = @id AND d.created_at = @created_at AND d.state = 'pending'
  AND d.next_attempt_at <= now() AND (d.claimed_until IS NULL OR d.claimed_until < now())
FOR NO KEY UPDATE OF e;

-- name: ClaimDelivery :one
-- Guarded, so that duplicate jobs are harmless, and under the endpoint's lock, so that its limit holds. 0 rows: done, not
-- due, in other hands, or the endpoint is busy.
UPDATE webhook_deliveries d SET claimed_until = now() + make_interval(secs => @hold::float8), attempts = d.attempts + 1, parked = false
WHERE d.company_id = @company_id AND d.id = @id AND d.created_at = @created_at AND d.state = 'pending'
  AND d.next_attempt_at <= now() AND (d.claimed_until IS NULL OR d.claimed_until < now())
  AND (SELECT count(*) FROM webhook_deliveries o
       WHERE o.company_id = d.company_id AND o.endpoint_id = d.endpoint_id AND o.claimed_until > now()) < @in_flight::integer
RETURNING *;

-- name: ParkDelivery :exec
-- The endpoint is busy: whoever finishes there first calls this delivery, and the sweeper does if nobody did.
UPDATE webhook_deliveries SET parked = true, enqueued_until = NULL, next_attempt_at = now() + make_interval(secs => @delay::float8)
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state = 'pending'
  AND next_attempt_at <= now() AND (claimed_until IS NULL OR claimed_until < now());

-- name: SkipDelivery :exec
-- The endpoint fails repeatedly and is not to be tried before its next probe, which stands in for this step.
UPDATE webhook_deliveries SET parked = true, enqueued_until = NULL, skipped = skipped + 1, claimed_until = NULL,
    next_attempt_at = now() + make_interval(secs => @delay::float8), last_error = @last_error
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state = 'pending'
  AND next_attempt_at <= now() AND (claimed_until IS NULL OR claimed_until < now());

-- name: UnparkDeliveries :many
-- The oldest parked deliveries of an endpoint. The caller enqueues them.
UPDATE webhook_deliveries d SET parked = false, next_attempt_at = now(), enqueued_until = now() + make_interval(secs => @hold::float8)
WHERE (d.id, d.created_at) IN (
    SELECT s.id, s.created_at FROM webhook_deliveries s
    WHERE s.company_id = @company_id AND s.endpoint_id = @endpoint_id AND s.parked AND s.state = 'pending'
      AND (s.claimed_until IS NULL OR s.claimed_until < now())
    ORDER BY s.event_seq LIMIT @room::integer FOR UPDATE SKIP LOCKED)
RETURNING d.id, d.company_id, d.created_at;

-- name: FinishDelivery :execrows
-- Whoever heard a 2xx is right, also after losing the claim. 0 rows: somebody else heard one before.
UPDATE webhook_deliveries SET state = 'delivered', delivered_at = now(), claimed_until = NULL, enqueued_until = NULL, parked = false,
    last_status = @last_status, last_error = ''
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state <> 'delivered';

-- name: RetryDelivery :execrows
-- 0 rows: the claim was lost, and its new holder decides.
UPDATE webhook_deliveries SET claimed_until = NULL, parked = @parked, next_attempt_at = now() + make_interval(secs => @delay::float8),
    enqueued_until = now() + make_interval(secs => sqlc.narg(enqueued_for)::float8), last_status = @last_status, last_error = @last_error
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state = 'pending' AND attempts = @attempts;

-- name: BuryDelivery :execrows
UPDATE webhook_deliveries SET state = 'dead', claimed_until = NULL, enqueued_until = NULL, parked = false,
    last_status = coalesce(sqlc.narg(last_status), last_status), last_error = @last_error
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state = 'pending' AND attempts = @attempts;

-- name: BuryOrphan :execrows
-- A delivery whose endpoint was deleted.
UPDATE webhook_deliveries d SET state = 'dead', claimed_until = NULL, enqueued_until = NULL, parked = false, last_error = @last_error
WHERE d.company_id = @company_id AND d.id = @id AND d.created_at = @created_at AND d.state = 'pending'
  AND NOT EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.company_id = d.company_id AND e.id = d.endpoint_id);

-- name: ReserveProbe :exec
-- Under the endpoint's lock: the claim just made is the probe, everybody else waits for the next one.
UPDATE webhook_endpoints SET probe_at = now() + make_interval(secs => @delay::float8)
WHERE company_id = @company_id AND id = @id;

-- name: EndpointSucceeded :exec
UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, probe_at = NULL
WHERE company_id = @company_id AND id = @id AND failures > 0;

-- name: EndpointFailed :one
-- Counts, and from the given number on sets the time of the next probe. Spent: it has failed for so long that nothing more
-- is to be sent.
UPDATE webhook_endpoints e SET failures = e.failures + 1, failing_since = coalesce(e.failing_since, now()),
    probe_at = CASE WHEN e.failures + 1 >= @repeatedly::integer THEN now() + make_interval(secs => @delay::float8) END
WHERE e.company_id = @company_id AND e.id = @id
RETURNING e.failures, (e.failing_since < now() - make_interval(secs => @patience::float8))::boolean AS spent;

-- name: DisableEndpoint :execrows
UPDATE webhook_endpoints SET enabled = false, disabled_reason = @reason
WHERE company_id = @company_id AND id = @id AND enabled;

-- name: ReleaseDelivery :execrows
-- Gives back a claim under which nothing was sent: the attempt does not count.
UPDATE webhook_deliveries SET claimed_until = NULL, enqueued_until = NULL, attempts = attempts - 1,
    next_attempt_at = now() + make_interval(secs => @delay::float8)
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND state = 'pending' AND attempts = @attempts;

-- name: ForgetJobs :exec
-- For jobs that could not be sent after all: the sweeper is to look at their deliveries at once.
-- The ids are text, because pgx cannot encode uuid[] without preparing the statement.
UPDATE webhook_deliveries d SET enqueued_until = NULL
FROM (SELECT unnest(@companies::text[]) AS company_id, unnest(@ids::text[])::uuid AS id, unnest(@created::timestamptz[]) AS created_at) AS q
WHERE d.company_id = q.company_id AND d.id = q.id AND d.created_at = q.created_at AND d.state = 'pending';

-- name: ListDeliveries :many
-- The newest first. A state is looked for in the newest rows only, as many as window says, so that a rare one costs
-- no walk through all there ever was: see EndOfWindow.
SELECT * FROM webhook_deliveries
WHERE company_id = @company_id AND endpoint_id = @endpoint_id AND event_seq < @before AND event_seq >= @floor
  AND (@state::text = '' OR state || '' = @state::text)
ORDER BY event_seq DESC LIMIT @page_size::integer;

-- name: EndOfWindow :one
-- Where a look at so many deliveries ends. 0 rows: they all fit in.
SELECT event_seq FROM webhook_deliveries
WHERE company_id = @company_id AND endpoint_id = @endpoint_id AND event_seq < @before
ORDER BY event_seq DESC OFFSET @size::integer LIMIT 1;

-- name: ListDeadDeliveries :many
-- Dead letters have an index of their own, which only this expression leads to.
SELECT * FROM webhook_deliveries
WHERE company_id || '' = @company_id AND endpoint_id = @endpoint_id AND event_seq < @before AND state = 'dead'
ORDER BY event_seq DESC LIMIT @page_size::integer;

-- name: GetDelivery :one
SELECT * FROM webhook_deliveries WHERE company_id || '' = @company_id AND id = @id;

-- name: FindCompanyOfDelivery :one
SELECT company_id FROM webhook_deliveries WHERE id = @id;

-- name: ReplayDelivery :one
-- Due at once, with the whole schedule before it; one that waits is only called. The attempts go on counting, because that
-- number guards the claims: what was counted so far is taken off the steps instead. 0 rows: it is being tried right now.
UPDATE webhook_deliveries SET state = 'pending', parked = false, claimed_until = NULL, delivered_at = NULL,
    skipped = CASE WHEN state = 'pending' THEN skipped ELSE -attempts END,
    next_attempt_at = now(), enqueued_until = now() + make_interval(secs => @hold::float8)
WHERE company_id = @company_id AND id = @id AND created_at = @created_at AND (claimed_until IS NULL OR claimed_until < now())
RETURNING *;
