-- +goose Up

-- One row for the installation: what must never change once companies exist.
CREATE TABLE installation (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    shards     integer NOT NULL CHECK (shards BETWEEN 1 AND 1024),
    -- Keys the HMAC that turns (company, Idempotency-Key) into a WhatsApp message id.
    id_secret  bytea NOT NULL CHECK (octet_length(id_secret) = 32),
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Lease and fence in one row: a write made under a lease locks this row FOR KEY SHARE and checks the term.
-- The term is UNIQUE to make it part of the row's key for that lock: a take-over changes it and has to wait for the
-- writers, a renewal leaves it and waits for nobody. (FOR SHARE would let busy writers starve the renewals.)
CREATE TABLE shard_lease (
    shard      integer PRIMARY KEY CHECK (shard >= 0),
    host_id    text,
    term       uuid UNIQUE,
    epoch      bigint NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL DEFAULT '-infinity',
    target     text,
    CONSTRAINT held_entirely_or_not_at_all CHECK ((host_id IS NULL) = (term IS NULL))
);

CREATE TABLE hosts (
    host_id      text PRIMARY KEY,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now(),
    draining     boolean NOT NULL DEFAULT false,
    version      text NOT NULL DEFAULT ''
);

-- The first nine columns of companies, the first five of whatsapp_sessions and the first eight of
-- messages are the predecessor's; its reports read them, so they are maintained as it did.
CREATE TABLE companies (
    id                         bigserial PRIMARY KEY,
    company_id                 varchar(50) NOT NULL UNIQUE CHECK (company_id ~ '^[A-Za-z0-9_-]{1,50}$'),
    title                      varchar(255),
    whatsapp_enabled           boolean NOT NULL DEFAULT false,
    whatsapp_phone             varchar(20),
    whatsapp_status            varchar(50),
    whatsapp_config            jsonb,
    whatsapp_last_connected    timestamptz,
    whatsapp_connection_method varchar(20),
    shard                      integer NOT NULL,
    rate_per_minute            integer NOT NULL DEFAULT 30 CHECK (rate_per_minute > 0),
    rate_burst                 integer NOT NULL DEFAULT 30 CHECK (rate_burst > 0),
    created_at                 timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX companies_by_shard ON companies (shard);

-- A company's data key, wrapped by the master key. Deleting the row shreds what it sealed.
CREATE TABLE company_keys (
    company_id varchar(50) PRIMARY KEY REFERENCES companies (company_id) ON DELETE CASCADE,
    wrapped    bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id         text PRIMARY KEY,
    company_id varchar(50) REFERENCES companies (company_id) ON DELETE CASCADE,
    name       text NOT NULL DEFAULT '',
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
COMMENT ON COLUMN api_keys.company_id IS 'NULL: an admin key, which acts for every company';

-- The answers to creating calls that carried an Idempotency-Key. Sealed where they hold a secret.
CREATE TABLE idempotent_answers (
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    operation  text NOT NULL,
    key_hash   bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    body_hash  bytea NOT NULL CHECK (octet_length(body_hash) = 32),
    answer     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, operation, key_hash)
);

CREATE TABLE whatsapp_sessions (
    id                  bigserial PRIMARY KEY,
    company_id          varchar(50) NOT NULL UNIQUE REFERENCES companies (company_id) ON DELETE CASCADE,
    status              varchar(20) NOT NULL DEFAULT 'disconnected',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    state               varchar(20) NOT NULL DEFAULT 'created' CHECK (state IN
        ('created', 'pairing', 'connecting', 'connected', 'reconnecting', 'logged_out', 'banned', 'failed', 'stopped')),
    reason              text NOT NULL DEFAULT '',
    user_action         varchar(10) NOT NULL DEFAULT 'none' CHECK (user_action IN ('none', 'relink', 'wait', 'update')),
    desired_state       varchar(10) NOT NULL DEFAULT 'stopped' CHECK (desired_state IN ('running', 'stopped', 'logged_out')),
    desired_generation  bigint NOT NULL DEFAULT 0,
    observed_generation bigint NOT NULL DEFAULT 0,
    pairing_method      varchar(20) NOT NULL DEFAULT 'qr' CHECK (pairing_method IN ('qr', 'pairing_code')),
    pairing_phone       varchar(20),
    jid                 text,
    lid                 text,
    push_name           text,
    connected_at        timestamptz,
    qr_attempts         integer NOT NULL DEFAULT 0,
    reconnects          bigint NOT NULL DEFAULT 0,
    CONSTRAINT only_a_connected_session_has_a_time CHECK ((state = 'connected') = (connected_at IS NOT NULL)),
    CONSTRAINT observed_never_leads CHECK (observed_generation <= desired_generation)
);
CREATE UNIQUE INDEX one_company_per_number ON whatsapp_sessions (split_part(split_part(jid, '@', 1), ':', 1)) WHERE jid IS NOT NULL;
CREATE INDEX sessions_to_reconcile ON whatsapp_sessions (company_id) WHERE observed_generation < desired_generation;

-- Outbox, inbox and history.
CREATE TABLE messages (
    id           bigserial PRIMARY KEY,
    company_id   varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    phone        varchar(64) NOT NULL,
    message      text,
    message_id   varchar(100) NOT NULL,
    direction    varchar(10) NOT NULL CHECK (direction IN ('incoming', 'outgoing')),
    status       varchar(20) NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),

    shard        integer NOT NULL,
    kind         varchar(20) NOT NULL,
    chat         text NOT NULL,
    lane         smallint NOT NULL DEFAULT 0,
    client_ref   text CHECK (octet_length(client_ref) <= 512),
    body         bytea,
    body_hash    bytea,
    wire         bytea,
    reason       text NOT NULL DEFAULT '',
    trace        jsonb NOT NULL DEFAULT '[]',

    enqueued_at  timestamptz,
    due_at       timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    attempt      integer NOT NULL DEFAULT 0,
    resends      integer NOT NULL DEFAULT 0,
    term         uuid,
    incarnation  uuid,
    sent_at      timestamptz,
    delivered_at timestamptz,
    read_at      timestamptz,
    played_at    timestamptz,

    wa_message_id text,
    sender        text,
    sender_name   text,

    CONSTRAINT one_row_per_message UNIQUE (message_id, company_id, direction), -- the id first: an admin key looks up by it alone
    CONSTRAINT status_of_its_direction CHECK (CASE direction
        WHEN 'incoming' THEN status = 'received'
        ELSE status IN ('accepted', 'queued', 'sending', 'sent', 'delivered', 'read', 'played',
                        'failed', 'expired', 'canceled', 'unconfirmed') END),
    CONSTRAINT a_body_before_it_is_sent CHECK (direction = 'incoming' OR body IS NOT NULL
        OR status IN ('accepted', 'failed', 'expired', 'canceled')),
    CONSTRAINT an_attempt_has_its_owner CHECK (status <> 'sending' OR (term IS NOT NULL AND incarnation IS NOT NULL AND wire IS NOT NULL))
);
COMMENT ON COLUMN messages.id IS 'rises in the order in which sends were accepted';
COMMENT ON COLUMN messages.chat IS 'the other side, as digits or a group id: what order is kept within';
COMMENT ON COLUMN messages.body IS 'the content as JSON, sealed with the company''s data key';
COMMENT ON COLUMN messages.wire IS 'the marshalled WhatsApp message with its random secret, sealed: every attempt sends this';
-- The waiting room, in the order of sending.
CREATE INDEX messages_waiting ON messages (company_id, lane, id) WHERE direction = 'outgoing' AND status = 'queued';
CREATE INDEX messages_due ON messages (shard, due_at) WHERE direction = 'outgoing' AND status = 'queued';
-- What holds its chat, and what a new owner has to resolve.
CREATE INDEX messages_in_flight ON messages (company_id, chat) WHERE direction = 'outgoing' AND status IN ('sending', 'unconfirmed');
-- On their way through the queue, or lost on it. Without enqueued_at, so that setting it touches no index.
CREATE INDEX messages_accepted ON messages (created_at) WHERE direction = 'outgoing' AND status = 'accepted';
CREATE INDEX messages_expiring ON messages (expires_at) WHERE direction = 'outgoing' AND status IN ('accepted', 'queued') AND expires_at IS NOT NULL;
CREATE INDEX messages_history ON messages (company_id, id DESC);

-- What an inbound handler could not digest. It is acked to WhatsApp, shown to the operator, and kept.
CREATE TABLE quarantine (
    id         bigserial PRIMARY KEY,
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    source     text NOT NULL,
    reason     text NOT NULL,
    body       bytea,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX quarantine_of_company ON quarantine (company_id, id DESC);

-- The row lock on a company's counter orders the commits of its events: a reader never skips one.
CREATE TABLE company_seq (
    company_id varchar(50) PRIMARY KEY REFERENCES companies (company_id) ON DELETE CASCADE,
    seq        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE events (
    company_id varchar(50) NOT NULL,
    seq        bigint NOT NULL,
    id         uuid NOT NULL,
    type       text NOT NULL,
    data       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, seq, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN events.data IS 'JSON, sealed with the company''s data key';

CREATE TABLE webhook_endpoints (
    id               text PRIMARY KEY,
    company_id       varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    url              text NOT NULL,
    events           text[] NOT NULL DEFAULT '{}',
    secret           bytea NOT NULL,
    previous_secret  bytea,
    previous_until   timestamptz,
    legacy_signature boolean NOT NULL DEFAULT false,
    enabled          boolean NOT NULL DEFAULT true,
    disabled_reason  text NOT NULL DEFAULT '',
    failures         integer NOT NULL DEFAULT 0,
    failing_since    timestamptz,
    probe_at         timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT a_failing_endpoint_has_a_start CHECK ((failures > 0) = (failing_since IS NOT NULL)),
    CONSTRAINT an_old_secret_has_an_end CHECK ((previous_secret IS NULL) = (previous_until IS NULL))
);
COMMENT ON COLUMN webhook_endpoints.events IS 'empty: every type';
COMMENT ON COLUMN webhook_endpoints.failures IS 'attempts in a row that failed';
COMMENT ON COLUMN webhook_endpoints.probe_at IS 'set once it fails repeatedly: nothing is sent before then, and then one attempt';
CREATE INDEX webhook_endpoints_of_company ON webhook_endpoints (company_id);

CREATE TABLE webhook_deliveries (
    id              uuid NOT NULL,
    company_id      varchar(50) NOT NULL,
    endpoint_id     text NOT NULL,
    event_seq       bigint NOT NULL,
    event_id        uuid NOT NULL,
    event_type      text NOT NULL,
    state           varchar(10) NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        integer NOT NULL DEFAULT 0,
    skipped         integer NOT NULL DEFAULT 0,
    parked          boolean NOT NULL DEFAULT false,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    claimed_until   timestamptz,
    enqueued_until  timestamptz,
    last_status     integer,
    last_error      text NOT NULL DEFAULT '',
    delivered_at    timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON COLUMN webhook_deliveries.skipped IS 'steps of the schedule that a probe of the failing endpoint stood in for';
COMMENT ON COLUMN webhook_deliveries.parked IS 'waits for its endpoint to be less busy or well again; then it goes before its time';
COMMENT ON COLUMN webhook_deliveries.enqueued_until IS 'a job in the webhooks queue speaks for this delivery until then';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (company_id, endpoint_id, event_seq);
CREATE INDEX webhook_deliveries_in_flight ON webhook_deliveries (company_id, endpoint_id) WHERE claimed_until IS NOT NULL;
CREATE INDEX webhook_deliveries_parked ON webhook_deliveries (company_id, endpoint_id, event_seq) WHERE parked;

-- Makes the monthly partitions of events and webhook_deliveries for this month and the next ones.
-- +goose StatementBegin
CREATE FUNCTION ensure_partitions(ahead integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    first  date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['events', 'webhook_deliveries'] LOOP
        FOR n IN 0..ahead LOOP
            first := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n);
            IF to_regclass(format('%s_%s', parent, to_char(first, 'YYYYMM'))) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                    parent || '_' || to_char(first, 'YYYYMM'), parent,
                    first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month')::timestamp AT TIME ZONE 'UTC');
            END IF;
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd
SELECT ensure_partitions(3);

-- +goose Down
DROP FUNCTION ensure_partitions(integer);
DROP TABLE webhook_deliveries, webhook_endpoints, events, company_seq, quarantine, messages, whatsapp_sessions,
    idempotent_answers, api_keys, company_keys, companies, hosts, shard_lease, installation;
