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

-- +goose Down
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
