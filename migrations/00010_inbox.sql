-- +goose NO TRANSACTION
-- +goose Up

-- Finds an incoming message by WhatsApp's id, which is how later ones refer to it, and the history of one chat. On
-- expressions and a condition that no other statement has, so that no plan can take them for something else
-- (shared/store/queries/outbox.sql).
DROP INDEX IF EXISTS messages_by_wa_id;
CREATE INDEX CONCURRENTLY messages_by_wa_id ON messages ((company_id || '/' || wa_message_id)) WHERE wa_message_id IS NOT NULL;
DROP INDEX IF EXISTS messages_of_chat;
CREATE INDEX CONCURRENTLY messages_of_chat ON messages ((company_id || '/' || chat), id DESC);

COMMENT ON COLUMN messages.body_hash IS 'of an outgoing message: what a repeated call must ask for; of an incoming one that was undecryptable at first: the digest of its plaintext';

-- The files of incoming messages: how each is fetched from WhatsApp, and whether it has been.
CREATE TABLE IF NOT EXISTS received_media (
    media_id         text NOT NULL,
    company_id       varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    message_id       varchar(100) NOT NULL,
    sealed_reference bytea NOT NULL,
    mime_type        text NOT NULL DEFAULT '',
    shard            integer NOT NULL,
    state            text NOT NULL CHECK (state IN ('known', 'wanted', 'asked', 'stored', 'failed')),
    reason           text NOT NULL DEFAULT '',
    attempt          integer NOT NULL DEFAULT 0,
    due_at           timestamptz NOT NULL DEFAULT now(),
    created_at       timestamptz NOT NULL DEFAULT now(),
    stored_at        timestamptz,
    PRIMARY KEY (media_id, company_id), -- the id first: an admin key looks up by it alone
    CONSTRAINT a_stored_file_has_its_time CHECK ((state = 'stored') = (stored_at IS NOT NULL))
);
COMMENT ON COLUMN received_media.sealed_reference IS 'path, keys and hashes, as JSON, sealed with the company''s data key';
COMMENT ON COLUMN received_media.state IS 'known: nobody asked for it; wanted: its owner fetches it; asked: the sender''s phone was asked to upload it again';
CREATE INDEX IF NOT EXISTS received_media_wanted ON received_media (shard, company_id, due_at) WHERE state IN ('wanted', 'asked');

-- +goose Down
DROP TABLE IF EXISTS received_media;
DROP INDEX IF EXISTS messages_of_chat;
DROP INDEX IF EXISTS messages_by_wa_id;
