-- +goose Up

-- What the owner of a session is asked for beside the desired state.
ALTER TABLE whatsapp_sessions
    ADD COLUMN restart_generation  bigint NOT NULL DEFAULT 0,
    ADD COLUMN delete_after_logout boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT a_restart_was_asked_for CHECK (restart_generation <= desired_generation);
COMMENT ON COLUMN whatsapp_sessions.restart_generation IS 'the latest generation that asked for a new socket even where one is online';
COMMENT ON COLUMN whatsapp_sessions.delete_after_logout IS 'the owner unlinks the device, destroys its keys and makes the session new, before anything asked for later';

-- +goose Down
ALTER TABLE whatsapp_sessions
    DROP CONSTRAINT a_restart_was_asked_for,
    DROP COLUMN delete_after_logout,
    DROP COLUMN restart_generation;
