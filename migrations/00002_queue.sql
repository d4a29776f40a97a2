-- +goose Up

-- The queues of shared/queue/pgqueue. Each kind has its own tables, because each is claimed in its own way.
--
-- Why functions: in a VOLATILE plpgsql function every statement has a fresh snapshot, which one statement with CTEs
-- has not. Each function below first locks, then looks, and so acts on what it really holds, in one round trip.
--
-- Plans are made once for each connection, often while the tables are empty and every index looks as good as any other,
-- and stay in use when there is a backlog. So a statement must leave the planner one choice: hence the settings of the
-- functions (at the end), numbers instead of names for groups, one index for each way to look, and LIMIT 1 where EXISTS
-- would be turned into a join. A test counts the rows that are read under such plans.

-- Standard queues: any due row may go to anybody.
CREATE TABLE queue_standard (
    id         bigserial PRIMARY KEY,
    queue      text NOT NULL,
    group_id   text NOT NULL DEFAULT '',
    visible_at timestamptz NOT NULL,
    receives   integer NOT NULL DEFAULT 0,
    sent_at    timestamptz NOT NULL,
    body       bytea NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN queue_standard.visible_at IS 'from when it may be received: after its delay, or when a claim on it has run out';
CREATE INDEX queue_standard_due ON queue_standard (queue, visible_at);

-- FIFO queues: the group is the unit that is claimed. A row of queue_fifo_groups exists exactly while the group has
-- messages, so the waiting room of a queue is as long as it has groups, however many messages each of them holds.
--
-- Row locks on a group, weakest first, are the whole protocol:
--   FOR KEY SHARE      a sender: senders disturb neither each other nor a receiver, but the group cannot vanish;
--   FOR NO KEY UPDATE  a receiver (SKIP LOCKED): one at a time claims the group;
--   FOR UPDATE         whoever frees or removes the group: waits for the senders, then sees what they sent.
CREATE TABLE queue_fifo_groups (
    number   bigserial PRIMARY KEY,
    queue    text NOT NULL,
    group_id text NOT NULL,
    free_at  timestamptz NOT NULL,
    claimed  bigint[] NOT NULL DEFAULT '{}',
    UNIQUE (queue, group_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN queue_fifo_groups.free_at IS 'nothing of the group is in flight from then on; groups are served in this order';
COMMENT ON COLUMN queue_fifo_groups.claimed IS 'messages of the latest claim: only they can be in flight';
-- On an expression, so that it is used for the waiting line only, and never to find a group by its name.
CREATE INDEX queue_fifo_groups_line ON queue_fifo_groups ((queue || ''), free_at);

CREATE TABLE queue_fifo (
    id           bigserial PRIMARY KEY,
    queue        text NOT NULL,
    group_id     text NOT NULL,
    group_number bigint NOT NULL,
    dedup_id     text NOT NULL,
    held_until   timestamptz NOT NULL DEFAULT '-infinity',
    receives     integer NOT NULL DEFAULT 0,
    sent_at      timestamptz NOT NULL,
    body         bytea NOT NULL
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000, autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 2000, toast.autovacuum_vacuum_cost_delay = 0);
COMMENT ON COLUMN queue_fifo.held_until IS 'in flight until then; not indexed, so that a claim is a HOT update';
CREATE INDEX queue_fifo_in_order ON queue_fifo (group_number, id);

-- What was sent in the last five minutes, whether or not it is still in the queue.
CREATE TABLE queue_fifo_dedup (
    queue      text NOT NULL,
    group_id   text NOT NULL,
    dedup_id   text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (queue, group_id, dedup_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX queue_fifo_dedup_expired ON queue_fifo_dedup (expires_at);

-- Which queues somebody waits for who has found nothing: the next change announces itself to them, once. Announcing every
-- change would serialise the commits of all senders, as Postgres does with commits that NOTIFY. Unlogged, because waiting
-- ends with the server.
CREATE UNLOGGED TABLE queue_awaited (
    queue   text PRIMARY KEY,
    awaited boolean NOT NULL
) WITH (fillfactor = 50);

-- The first step of whatever may have to be announced, before any row lock. It keeps queue_await out until the
-- change is committed.
-- +goose StatementBegin
CREATE FUNCTION queue_will_announce(q text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('wafleet_queue'), hashtext(q));
END $$;
-- +goose StatementEnd

-- Wakes receivers if any wait. Whoever comes while another announces need not: who is woken either finds this change too,
-- or waits anew, for which it has to wait for us.
-- +goose StatementBegin
CREATE FUNCTION queue_announce(q text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM queue_awaited a WHERE a.queue = q AND a.awaited FOR UPDATE SKIP LOCKED;
    IF FOUND THEN
        UPDATE queue_awaited a SET awaited = false WHERE a.queue = q;
        PERFORM pg_notify('wafleet_queue', q);
    END IF;
END $$;
-- +goose StatementEnd

-- Asks for an announcement. Changes that are under way and may have missed the question are committed when this returns,
-- so the caller has to look once more before it waits. Gives up if one of them takes long, rather than to hold up
-- the others: the caller then looks now and then.
-- +goose StatementBegin
CREATE FUNCTION queue_await(q text) RETURNS void
LANGUAGE plpgsql SET lock_timeout = '200ms' AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('wafleet_queue'), hashtext(q));
    INSERT INTO queue_awaited AS a (queue, awaited) VALUES (q, true)
    ON CONFLICT (queue) DO UPDATE SET awaited = true WHERE NOT a.awaited;
EXCEPTION WHEN lock_not_available THEN
    NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION queue_send_standard(q text, grp text, delay interval, content bytea) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    PERFORM queue_will_announce(q);
    INSERT INTO queue_standard (queue, group_id, visible_at, sent_at, body) VALUES (q, grp, moment + delay, moment, content);
    -- What is due later is found by who looks for it.
    IF delay <= interval '0' THEN
        PERFORM queue_announce(q);
    END IF;
END $$;
-- +goose StatementEnd

-- Claims up to "most" due messages. One that was received "max_receives" times (0: no limit) moves to "dead" instead.
-- +goose StatementBegin
CREATE FUNCTION queue_receive_standard(q text, most integer, visibility interval, max_receives integer, dead text)
RETURNS SETOF queue_standard LANGUAGE plpgsql AS $$
DECLARE
    moment    timestamptz := clock_timestamp();
    chosen    bigint[];
    exhausted bigint[];
BEGIN
    -- A claim that a crash of the server undoes is one more delivery, too.
    PERFORM set_config('synchronous_commit', 'off', true);
    LOOP
        SELECT array_agg(due.id),
               array_agg(due.id) FILTER (WHERE max_receives > 0 AND due.receives >= max_receives)
        INTO chosen, exhausted
        FROM (SELECT m.id, m.receives FROM queue_standard m WHERE m.queue = q AND m.visible_at <= moment
              ORDER BY m.visible_at LIMIT most FOR UPDATE SKIP LOCKED) due;
        EXIT WHEN exhausted IS NULL;
        PERFORM queue_will_announce(dead);
        UPDATE queue_standard m SET queue = dead, receives = 0, visible_at = moment WHERE m.id = ANY (exhausted);
        PERFORM queue_announce(dead);
    END LOOP;
    IF chosen IS NOT NULL THEN
        RETURN QUERY UPDATE queue_standard m SET receives = m.receives + 1, visible_at = moment + visibility
            WHERE m.id = ANY (chosen) RETURNING m.*;
    END IF;
END $$;
-- +goose StatementEnd

-- Deletes what the handles (id, receives) still speak for. Returns the ids of stale ones: redelivered or dead-lettered
-- since. A message that is gone counts as deleted.
-- +goose StatementBegin
CREATE FUNCTION queue_delete_standard(q text, ids bigint[], counts integer[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
BEGIN
    -- A delete that a crash of the server undoes is one more delivery, which consumers have to bear anyway.
    PERFORM set_config('synchronous_commit', 'off', true);
    DELETE FROM queue_standard m USING unnest(ids, counts) AS h (id, receives)
    WHERE m.id = ANY (ids) AND m.id = h.id AND m.queue || '' = q AND m.receives = h.receives;
    RETURN QUERY SELECT m.id FROM queue_standard m WHERE m.id = ANY (ids);
END $$;
-- +goose StatementEnd

-- Moves the end of the claims; an interval of 0 hands the messages back. Returns the ids that were still claimed.
-- +goose StatementBegin
CREATE FUNCTION queue_extend_standard(q text, ids bigint[], counts integer[], visibility interval) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    PERFORM queue_will_announce(q);
    RETURN QUERY UPDATE queue_standard m SET visible_at = moment + visibility
        FROM unnest(ids, counts) AS h (id, receives)
        WHERE m.id = ANY (ids) AND m.id = h.id AND m.queue || '' = q AND m.receives = h.receives AND m.visible_at > moment
        RETURNING m.id;
    IF FOUND AND visibility <= interval '0' THEN
        PERFORM queue_announce(q);
    END IF;
END $$;
-- +goose StatementEnd

-- Makes sure that the group exists and stays until this transaction ends. Tells whether it may be received from.
-- +goose StatementBegin
CREATE FUNCTION queue_join_group(q text, grp text, moment timestamptz, OUT group_number bigint, OUT free boolean)
LANGUAGE plpgsql AS $$
BEGIN
    LOOP
        SELECT g.number, g.free_at <= moment INTO group_number, free
        FROM queue_fifo_groups g WHERE g.queue = q AND g.group_id = grp FOR KEY SHARE;
        EXIT WHEN FOUND;
        INSERT INTO queue_fifo_groups (queue, group_id, free_at) VALUES (q, grp, moment)
        ON CONFLICT DO NOTHING RETURNING number, true INTO group_number, free;
        EXIT WHEN FOUND;
        -- Somebody else made it just now: the next round sees it, or that it has gone again.
    END LOOP;
END $$;
-- +goose StatementEnd

-- Returns false, and sends nothing, if the group had the same dedup id within the last five minutes.
-- +goose StatementBegin
CREATE FUNCTION queue_send_fifo(q text, grp text, dedup text, content bytea) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    joined record;
BEGIN
    PERFORM queue_will_announce(q);
    INSERT INTO queue_fifo_dedup AS d (queue, group_id, dedup_id, expires_at) VALUES (q, grp, dedup, moment + interval '5 minutes')
    ON CONFLICT (queue, group_id, dedup_id) DO UPDATE SET expires_at = excluded.expires_at WHERE d.expires_at <= moment;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    joined := queue_join_group(q, grp, moment);
    INSERT INTO queue_fifo (queue, group_id, group_number, dedup_id, sent_at, body)
    VALUES (q, grp, joined.group_number, dedup, moment, content);
    -- Whoever frees a group that is in flight waits for us and announces it then.
    IF joined.free THEN
        PERFORM queue_announce(q);
    END IF;
    RETURN true;
END $$;
-- +goose StatementEnd

-- Locks the groups of the messages and returns their numbers.
-- +goose StatementBegin
CREATE FUNCTION queue_lock_groups(q text, ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql AS $$
DECLARE
    groups bigint[];
BEGIN
    groups := ARRAY(SELECT m.group_number FROM queue_fifo m WHERE m.id = ANY (ids) AND m.queue = q);
    RETURN ARRAY(SELECT g.number FROM queue_fifo_groups g WHERE g.number = ANY (groups) ORDER BY g.number FOR UPDATE);
END $$;
-- +goose StatementEnd

-- Removes groups without messages and works out when the others are free; tells whether there are others. The caller has
-- locked them FOR UPDATE, in a statement of its own.
-- +goose StatementBegin
CREATE FUNCTION queue_settle_groups(q text, groups bigint[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    DELETE FROM queue_fifo_groups g WHERE g.number = ANY (groups)
        AND (SELECT m.id FROM queue_fifo m WHERE m.group_number = g.number LIMIT 1) IS NULL;
    UPDATE queue_fifo_groups g SET free_at = coalesce(
        (SELECT max(m.held_until) FROM queue_fifo m WHERE m.id = ANY (g.claimed) AND m.queue = q AND m.held_until > moment), moment)
    WHERE g.number = ANY (groups);
    RETURN FOUND;
END $$;
-- +goose StatementEnd

-- Moves messages that were received too often to the queue "dead". The caller holds their groups.
-- +goose StatementBegin
CREATE FUNCTION queue_bury_fifo(q text, dead text, exhausted bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    groups bigint[] := queue_lock_groups(q, exhausted);
    grp    text;
    joined record;
BEGIN
    PERFORM queue_will_announce(dead);
    FOR grp IN SELECT DISTINCT m.group_id FROM queue_fifo m WHERE m.id = ANY (exhausted) ORDER BY 1 LOOP
        joined := queue_join_group(dead, grp, clock_timestamp());
        UPDATE queue_fifo m SET queue = dead, group_number = joined.group_number, receives = 0, held_until = '-infinity'
        WHERE m.id = ANY (exhausted) AND m.group_id = grp;
    END LOOP;
    PERFORM queue_announce(dead);
    PERFORM queue_settle_groups(q, groups);
END $$;
-- +goose StatementEnd

-- Claims up to "most" messages: the heads of the groups that are free, longest free first, then their seconds, and so
-- on, so that every group that is locked here is also served. What one receive takes of a group is a run from its head.
-- +goose StatementBegin
CREATE FUNCTION queue_receive_fifo(q text, most integer, visibility interval, max_receives integer, dead text)
RETURNS SETOF queue_fifo LANGUAGE plpgsql AS $$
DECLARE
    moment        timestamptz;
    groups        bigint[];
    chosen        bigint[];
    chosen_groups bigint[];
    exhausted     bigint[];
BEGIN
    -- A claim that a crash of the server undoes is one more delivery, too.
    PERFORM set_config('synchronous_commit', 'off', true);
    LOOP
        moment := clock_timestamp();
        groups := ARRAY(SELECT g.number FROM queue_fifo_groups g WHERE g.queue || '' = q AND g.free_at <= moment
                        ORDER BY g.free_at LIMIT most FOR NO KEY UPDATE SKIP LOCKED);
        IF groups = '{}' THEN
            RETURN;
        END IF;
        SELECT array_agg(head.id), array_agg(head.number),
               array_agg(head.id) FILTER (WHERE max_receives > 0 AND head.receives >= max_receives)
        INTO chosen, chosen_groups, exhausted
        FROM (SELECT m.id, m.receives, g.number
              FROM unnest(groups) WITH ORDINALITY AS g (number, turn)
              CROSS JOIN LATERAL (
                  SELECT f.id, f.receives, row_number() OVER (ORDER BY f.id) AS place
                  FROM queue_fifo f WHERE f.group_number = g.number ORDER BY f.id LIMIT most) m
              ORDER BY m.place, g.turn LIMIT most) head;
        EXIT WHEN exhausted IS NULL;
        PERFORM queue_bury_fifo(q, dead, exhausted);
    END LOOP;
    UPDATE queue_fifo_groups g SET free_at = moment + visibility, claimed = ARRAY(
        SELECT c.id FROM unnest(chosen, chosen_groups) AS c (id, number) WHERE c.number = g.number)
    WHERE g.number = ANY (groups);
    RETURN QUERY
        WITH taken AS (
            UPDATE queue_fifo m SET receives = m.receives + 1, held_until = moment + visibility
            WHERE m.id = ANY (chosen) RETURNING m.*
        )
        SELECT * FROM taken ORDER BY id;
END $$;
-- +goose StatementEnd

-- As queue_delete_standard; here a handle is stale from the moment its claim runs out, because another message of the
-- group may go first from then on.
-- +goose StatementBegin
CREATE FUNCTION queue_delete_fifo(q text, ids bigint[], counts integer[]) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    groups bigint[];
    moment timestamptz;
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM queue_will_announce(q);
    groups := queue_lock_groups(q, ids);
    moment := clock_timestamp();
    DELETE FROM queue_fifo m USING unnest(ids, counts) AS h (id, receives)
    WHERE m.id = ANY (ids) AND m.id = h.id AND m.queue = q AND m.receives = h.receives AND m.held_until > moment;
    IF queue_settle_groups(q, groups) THEN
        PERFORM queue_announce(q);
    END IF;
    RETURN QUERY SELECT m.id FROM queue_fifo m WHERE m.id = ANY (ids);
END $$;
-- +goose StatementEnd

-- As queue_extend_standard.
-- +goose StatementBegin
CREATE FUNCTION queue_extend_fifo(q text, ids bigint[], counts integer[], visibility interval) RETURNS SETOF bigint
LANGUAGE plpgsql AS $$
DECLARE
    groups bigint[];
    moment timestamptz;
BEGIN
    PERFORM queue_will_announce(q);
    groups := queue_lock_groups(q, ids);
    moment := clock_timestamp();
    RETURN QUERY UPDATE queue_fifo m SET held_until = moment + visibility
        FROM unnest(ids, counts) AS h (id, receives)
        WHERE m.id = ANY (ids) AND m.id = h.id AND m.queue = q AND m.receives = h.receives AND m.held_until > moment
        RETURNING m.id;
    IF queue_settle_groups(q, groups) THEN
        PERFORM queue_announce(q);
    END IF;
END $$;
-- +goose StatementEnd

-- Drops what has been in the queue for longer than its retention. Returns how many messages that were.
-- +goose StatementBegin
CREATE FUNCTION queue_expire(q text, retention interval) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    limit_at timestamptz := clock_timestamp() - retention;
    expired  bigint[];
    groups   bigint[];
    dropped  bigint;
BEGIN
    DELETE FROM queue_standard m WHERE m.queue = q AND m.sent_at <= limit_at;
    GET DIAGNOSTICS dropped = ROW_COUNT;
    expired := ARRAY(SELECT m.id FROM queue_fifo m WHERE m.queue = q AND m.sent_at <= limit_at);
    IF expired <> '{}' THEN
        groups := queue_lock_groups(q, expired);
        DELETE FROM queue_fifo m WHERE m.id = ANY (expired) AND m.queue = q;
        PERFORM queue_settle_groups(q, groups);
    END IF;
    RETURN dropped + cardinality(expired);
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
DO $$
DECLARE
    name    text;
    setting text;
BEGIN
    FOREACH name IN ARRAY ARRAY['queue_announce', 'queue_receive_standard', 'queue_delete_standard', 'queue_extend_standard', 'queue_join_group',
        'queue_lock_groups', 'queue_settle_groups', 'queue_bury_fifo', 'queue_receive_fifo', 'queue_delete_fifo', 'queue_extend_fifo'] LOOP
        FOREACH setting IN ARRAY ARRAY['seqscan', 'bitmapscan', 'indexonlyscan', 'hashjoin', 'mergejoin'] LOOP
            EXECUTE format('ALTER FUNCTION %I SET enable_%s = off', name, setting);
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION queue_expire(text, interval), queue_extend_fifo(text, bigint[], integer[], interval),
    queue_delete_fifo(text, bigint[], integer[]), queue_receive_fifo(text, integer, interval, integer, text),
    queue_bury_fifo(text, text, bigint[]), queue_settle_groups(text, bigint[]), queue_lock_groups(text, bigint[]),
    queue_send_fifo(text, text, text, bytea), queue_join_group(text, text, timestamptz),
    queue_extend_standard(text, bigint[], integer[], interval), queue_delete_standard(text, bigint[], integer[]),
    queue_receive_standard(text, integer, interval, integer, text), queue_send_standard(text, text, interval, bytea),
    queue_await(text), queue_announce(text), queue_will_announce(text);
DROP TABLE queue_awaited, queue_fifo_dedup, queue_fifo, queue_fifo_groups, queue_standard;
