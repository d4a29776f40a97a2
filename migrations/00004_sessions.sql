-- +goose Up

-- What the next owner of a session has to know, whatever becomes of the one that was told.
ALTER TABLE whatsapp_sessions
    ADD COLUMN banned_until        timestamptz,
    ADD COLUMN restart_generation  bigint NOT NULL DEFAULT 0,
    ADD COLUMN delete_after_logout boolean NOT NULL DEFAULT false,
    ADD CONSTRAINT only_a_banned_session_has_an_end CHECK (banned_until IS NULL OR state = 'banned'),
    ADD CONSTRAINT a_restart_was_asked_for CHECK (restart_generation <= desired_generation);
COMMENT ON COLUMN whatsapp_sessions.restart_generation IS 'the latest generation that asked for a new socket even where one is online';
COMMENT ON COLUMN whatsapp_sessions.delete_after_logout IS 'the owner unlinks the device, destroys its keys and makes the session new, before anything asked for later';

-- What hosts decide together. One row.
CREATE TABLE fleet (
    singleton             boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    wa_version            text NOT NULL DEFAULT '',
    version_checked_at    timestamptz NOT NULL DEFAULT '-infinity',
    version_claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    breaker_opened_at     timestamptz,
    probe_until           timestamptz NOT NULL DEFAULT '-infinity'
);
COMMENT ON COLUMN fleet.wa_version IS 'the version of WhatsApp''s web client that hosts speak as; empty: the built-in one';
COMMENT ON COLUMN fleet.version_claimed_until IS 'one host is asking WhatsApp for its version until then';
COMMENT ON COLUMN fleet.breaker_opened_at IS 'since then nobody is believed to be logged out; NULL: closed';
COMMENT ON COLUMN fleet.probe_until IS 'one held session is trying to log in until then';
INSERT INTO fleet DEFAULT VALUES;

-- The companies that WhatsApp logged out lately, for the breaker to count.
CREATE TABLE refusals (
    company_id varchar(50) PRIMARY KEY REFERENCES companies (company_id) ON DELETE CASCADE,
    refused_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refusals_by_time ON refusals (refused_at);

-- Who has ever written to a company: the first message of a contact is answered with the company's greeting.
CREATE TABLE first_contacts (
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    chat       text NOT NULL,
    PRIMARY KEY (company_id, chat)
);
INSERT INTO first_contacts SELECT DISTINCT company_id, chat FROM messages WHERE direction = 'incoming';

-- +goose Down
DROP TABLE first_contacts, refusals, fleet;
ALTER TABLE whatsapp_sessions
    DROP CONSTRAINT a_restart_was_asked_for,
    DROP CONSTRAINT only_a_banned_session_has_an_end,
    DROP COLUMN delete_after_logout,
    DROP COLUMN restart_generation,
    DROP COLUMN banned_until;
