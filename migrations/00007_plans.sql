-- +goose Up

-- Plans are kept from a time when tables are nearly empty. What is asked for by this expression can be found in this index
-- and in no other, so that there is nothing for a plan to get wrong (shared/store/queries/outbox.sql).
DROP INDEX messages_in_flight;
CREATE INDEX messages_in_flight ON messages ((company_id || ''), chat)
    WHERE direction = 'outgoing' AND status IN ('sending', 'unconfirmed');

-- The functions of the queue leave the planner one choice, so that planning them anew for every call, as Postgres does
-- for arrays that are shorter than it expects, only costs: about half of what a delete costs.
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['queue_announce', 'queue_receive_standard', 'queue_delete_standard', 'queue_extend_standard', 'queue_join_group',
        'queue_lock_groups', 'queue_settle_groups', 'queue_bury_fifo', 'queue_receive_fifo', 'queue_delete_fifo', 'queue_extend_fifo'] LOOP
        EXECUTE format('ALTER FUNCTION %I SET plan_cache_mode = force_generic_plan', name);
    END LOOP;
END $$;
-- +goose StatementEnd

-- A receive. One that polls, and will wait if there is nothing, asks for an announcement then and looks once more, since
-- what came before it asked announced nothing: one round trip where the client would need three.
-- +goose StatementBegin
CREATE FUNCTION queue_take_fifo(q text, most integer, visibility interval, max_receives integer, dead text, poll boolean)
RETURNS SETOF queue_fifo LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM queue_receive_fifo(q, most, visibility, max_receives, dead);
    IF NOT FOUND AND poll THEN
        PERFORM queue_await(q);
        RETURN QUERY SELECT * FROM queue_receive_fifo(q, most, visibility, max_receives, dead);
    END IF;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION queue_take_standard(q text, most integer, visibility interval, max_receives integer, dead text, poll boolean)
RETURNS SETOF queue_standard LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT * FROM queue_receive_standard(q, most, visibility, max_receives, dead);
    IF NOT FOUND AND poll THEN
        PERFORM queue_await(q);
        RETURN QUERY SELECT * FROM queue_receive_standard(q, most, visibility, max_receives, dead);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION queue_take_fifo(text, integer, interval, integer, text, boolean), queue_take_standard(text, integer, interval, integer, text, boolean);
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['queue_announce', 'queue_receive_standard', 'queue_delete_standard', 'queue_extend_standard', 'queue_join_group',
        'queue_lock_groups', 'queue_settle_groups', 'queue_bury_fifo', 'queue_receive_fifo', 'queue_delete_fifo', 'queue_extend_fifo'] LOOP
        EXECUTE format('ALTER FUNCTION %I RESET plan_cache_mode', name);
    END LOOP;
END $$;
-- +goose StatementEnd
DROP INDEX messages_in_flight;
CREATE INDEX messages_in_flight ON messages (company_id, chat) WHERE direction = 'outgoing' AND status IN ('sending', 'unconfirmed');
