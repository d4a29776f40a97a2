-- +goose Up

-- The WhatsApp devices of the companies, for hosts/internal/devicestore. Every row belongs to a company and goes with it.
-- Columns named sealed_* are encrypted with the company's data key and bound to their place, so they have no CHECK.

CREATE TABLE devices (
    company_id           varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    jid                  text NOT NULL,
    lid                  text NOT NULL DEFAULT '',
    registration_id      bigint NOT NULL CHECK (registration_id BETWEEN 0 AND 4294967295),
    sealed_keys          bytea NOT NULL,
    signed_prekey_id     integer NOT NULL CHECK (signed_prekey_id BETWEEN 0 AND 16777215),
    signed_prekey_sig    bytea NOT NULL CHECK (octet_length(signed_prekey_sig) = 64),
    account_details      bytea NOT NULL,
    account_sig          bytea NOT NULL CHECK (octet_length(account_sig) = 64),
    account_sig_key      bytea NOT NULL CHECK (octet_length(account_sig_key) = 32),
    device_sig           bytea NOT NULL CHECK (octet_length(device_sig) = 64),
    platform             text NOT NULL DEFAULT '',
    business_name        text NOT NULL DEFAULT '',
    push_name            text NOT NULL DEFAULT '',
    facebook_uuid        uuid,
    lid_migration_at     bigint NOT NULL DEFAULT 0,
    created_at           timestamptz NOT NULL DEFAULT now(),
    tombstoned_at        timestamptz DEFAULT now(),
    PRIMARY KEY (company_id, jid)
);
COMMENT ON COLUMN devices.sealed_keys IS 'the private keys: noise, identity and signed prekey of 32 bytes each, then the ADV secret';
COMMENT ON COLUMN devices.tombstoned_at IS 'not to be used: not yet bound to its company, or deleted by WhatsApp; gone 30 days later';
CREATE INDEX devices_tombstoned ON devices (tombstoned_at) WHERE tombstoned_at IS NOT NULL;

-- Signal sessions and identities are keyed by the peer's address, "user:device", where a LID's user ends in "_1".
CREATE TABLE device_sessions (
    company_id     varchar(50) NOT NULL,
    jid            text NOT NULL,
    address        text NOT NULL,
    sealed_session bytea NOT NULL,
    PRIMARY KEY (company_id, jid, address),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
) WITH (fillfactor = 70);

CREATE TABLE device_identities (
    company_id varchar(50) NOT NULL,
    jid        text NOT NULL,
    address    text NOT NULL,
    identity   bytea NOT NULL CHECK (octet_length(identity) = 32),
    PRIMARY KEY (company_id, jid, address),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_prekeys (
    company_id varchar(50) NOT NULL,
    jid        text NOT NULL,
    key_id     integer NOT NULL CHECK (key_id BETWEEN 1 AND 16777215),
    sealed_key bytea NOT NULL,
    uploaded   boolean NOT NULL,
    PRIMARY KEY (company_id, jid, key_id),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_sender_keys (
    company_id varchar(50) NOT NULL,
    jid        text NOT NULL,
    chat       text NOT NULL,
    sender     text NOT NULL,
    sealed_key bytea NOT NULL,
    PRIMARY KEY (company_id, jid, chat, sender),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_app_state_keys (
    company_id  varchar(50) NOT NULL,
    jid         text NOT NULL,
    key_id      bytea NOT NULL,
    sealed_key  bytea NOT NULL,
    fingerprint bytea NOT NULL,
    made_at     bigint NOT NULL,
    PRIMARY KEY (company_id, jid, key_id),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);
COMMENT ON COLUMN device_app_state_keys.made_at IS 'as WhatsApp tells it; the highest is the latest key';

CREATE TABLE device_app_state (
    company_id varchar(50) NOT NULL,
    jid        text NOT NULL,
    name       text NOT NULL,
    version    bigint NOT NULL,
    hash       bytea NOT NULL CHECK (octet_length(hash) = 128),
    PRIMARY KEY (company_id, jid, name),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_app_state_macs (
    company_id varchar(50) NOT NULL,
    jid        text NOT NULL,
    name       text NOT NULL,
    index_mac  bytea NOT NULL CHECK (octet_length(index_mac) = 32),
    version    bigint NOT NULL,
    value_mac  bytea NOT NULL CHECK (octet_length(value_mac) = 32),
    PRIMARY KEY (company_id, jid, name, index_mac, version),
    FOREIGN KEY (company_id, jid, name) REFERENCES device_app_state ON DELETE CASCADE
);

CREATE TABLE device_contacts (
    company_id     varchar(50) NOT NULL,
    jid            text NOT NULL,
    contact        text NOT NULL,
    first_name     text NOT NULL DEFAULT '',
    full_name      text NOT NULL DEFAULT '',
    push_name      text NOT NULL DEFAULT '',
    business_name  text NOT NULL DEFAULT '',
    redacted_phone text NOT NULL DEFAULT '',
    PRIMARY KEY (company_id, jid, contact),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_chat_settings (
    company_id  varchar(50) NOT NULL,
    jid         text NOT NULL,
    chat        text NOT NULL,
    muted_until bigint NOT NULL DEFAULT 0,
    pinned      boolean NOT NULL DEFAULT false,
    archived    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (company_id, jid, chat),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);
COMMENT ON COLUMN device_chat_settings.muted_until IS 'Unix seconds; 0: not muted, -1: for ever';

CREATE TABLE device_message_secrets (
    company_id    varchar(50) NOT NULL,
    jid           text NOT NULL,
    chat          text NOT NULL,
    sender        text NOT NULL,
    message_id    text NOT NULL,
    sealed_secret bytea NOT NULL,
    PRIMARY KEY (company_id, jid, message_id, chat, sender),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

CREATE TABLE device_privacy_tokens (
    company_id   varchar(50) NOT NULL,
    jid          text NOT NULL,
    contact      text NOT NULL,
    sealed_token bytea NOT NULL,
    given_at     bigint NOT NULL,
    PRIMARY KEY (company_id, jid, contact),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);

-- What was decrypted, by the hash of its ciphertext: with its plaintext until it is handled, and then as a mark that it was.
CREATE TABLE device_events (
    company_id       varchar(50) NOT NULL,
    jid              text NOT NULL,
    ciphertext_hash  bytea NOT NULL CHECK (octet_length(ciphertext_hash) = 32),
    sealed_plaintext bytea,
    server_at        bigint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, jid, ciphertext_hash),
    FOREIGN KEY (company_id, jid) REFERENCES devices ON DELETE CASCADE
);
COMMENT ON COLUMN device_events.server_at IS 'when WhatsApp took the message, in Unix seconds';
CREATE INDEX device_events_by_age ON device_events USING brin (created_at);

-- Pairs of the same user's LID and phone number, as WhatsApp told this company.
CREATE TABLE device_lids (
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    lid        text NOT NULL,
    pn         text NOT NULL,
    PRIMARY KEY (company_id, lid),
    UNIQUE (company_id, pn)
);

-- +goose Down
DROP TABLE device_lids, device_events, device_privacy_tokens, device_message_secrets, device_chat_settings, device_contacts,
    device_app_state_macs, device_app_state, device_app_state_keys, device_sender_keys, device_prekeys, device_identities,
    device_sessions, devices;
