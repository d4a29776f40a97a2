-- +goose Up

-- A batch is one content for many recipients. Its rows become messages like any others, which is where their truth is:
-- nothing here counts them, so that sending one touches no row that others need.
CREATE TABLE batches (
    id            bigserial PRIMARY KEY,
    company_id    varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    batch_id      varchar(40) NOT NULL UNIQUE,
    shard         integer NOT NULL,
    name          text,
    kind          varchar(20) NOT NULL,
    template      bytea NOT NULL,
    key_hash      bytea CHECK (octet_length(key_hash) = 32),
    body_hash     bytea NOT NULL CHECK (octet_length(body_hash) = 32),
    total         integer NOT NULL CHECK (total > 0),
    accepted      integer NOT NULL CHECK (accepted BETWEEN 0 AND total),
    ttl           float8 NOT NULL CHECK (ttl > 0),
    status        varchar(10) NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'paused', 'canceled', 'completed')),
    created_at    timestamptz NOT NULL DEFAULT now(),
    running_since timestamptz NOT NULL DEFAULT now(),
    ended_before  bigint NOT NULL DEFAULT 0,
    fed_at        timestamptz,
    job_until     timestamptz,
    ended_at      timestamptz,
    CONSTRAINT one_batch_per_key UNIQUE (company_id, key_hash),
    -- Makes the status part of the row's key for row locks, as the term is of a lease's: a claim of a message locks its batch
    -- FOR KEY SHARE, which keeps a change of the status out, and nothing else.
    CONSTRAINT a_claim_holds_the_status UNIQUE (id, status),
    CONSTRAINT only_what_is_fed_ends CHECK (ended_at IS NULL OR fed_at IS NOT NULL),
    CONSTRAINT completed_is_an_end CHECK (status <> 'completed' OR ended_at IS NOT NULL)
);
COMMENT ON COLUMN batches.template IS 'the content before its fields are filled in, as JSON, sealed with the company''s data key';
COMMENT ON COLUMN batches.ttl IS 'seconds from a row''s becoming a message to its expiry';
COMMENT ON COLUMN batches.running_since IS 'since when it runs without a pause, and ended_before how many rows had ended then: what its pace is measured from';
COMMENT ON COLUMN batches.fed_at IS 'since when every row is a message';
COMMENT ON COLUMN batches.job_until IS 'a job in the batches queue speaks for this batch until then';
COMMENT ON COLUMN batches.ended_at IS 'since when no row can be sent any more; told by batch.completed';
-- By an expression, so that nothing else can be taken for them (see the plans of migration 00007).
CREATE INDEX batches_running ON batches ((company_id || '')) WHERE status = 'running' AND ended_at IS NULL;
CREATE INDEX batches_open ON batches ((id + 0)) WHERE ended_at IS NULL;

-- Recipients that are not messages yet, some hundred together.
CREATE TABLE batch_chunks (
    company_id varchar(50) NOT NULL,
    batch      bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    first_row  integer NOT NULL,
    recipients bytea NOT NULL,
    PRIMARY KEY (batch, first_row)
);
COMMENT ON COLUMN batch_chunks.recipients IS 'as JSON, sealed with the company''s data key';

-- Rows that were refused.
CREATE TABLE batch_invalid (
    company_id varchar(50) NOT NULL,
    batch      bigint NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    batch_row  integer NOT NULL,
    code       text NOT NULL,
    message    text NOT NULL,
    PRIMARY KEY (batch, batch_row)
);

ALTER TABLE messages
    ADD COLUMN batch     bigint,
    ADD COLUMN batch_row integer,
    ADD CONSTRAINT a_row_is_of_a_batch CHECK ((batch IS NULL) = (batch_row IS NULL) AND (batch IS NULL OR direction = 'outgoing'));
COMMENT ON COLUMN messages.batch IS 'batches.id; without a foreign key, since a row outlives nothing that matters';

-- The rows of a batch by status: a page of results, and counts.
CREATE INDEX messages_of_batch ON messages (batch, status, batch_row) WHERE batch IS NOT NULL;
-- Those that wait, in the order of sending. By an expression, so that nothing else can be taken for it.
CREATE INDEX messages_waiting_in_batch ON messages ((batch + 0), due_at, batch_row) WHERE status = 'queued' AND batch IS NOT NULL;

-- What waits for its turn outside of batches. Rows of a batch are looked up through the batch, so that those of one that is
-- paused cost nothing, however many they are.
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (company_id, lane, id) WHERE direction = 'outgoing' AND status = 'queued' AND batch IS NULL;

-- +goose Down
DROP INDEX messages_waiting;
CREATE INDEX messages_waiting ON messages (company_id, lane, id) WHERE direction = 'outgoing' AND status = 'queued';
DROP INDEX messages_waiting_in_batch, messages_of_batch;
ALTER TABLE messages DROP CONSTRAINT a_row_is_of_a_batch, DROP COLUMN batch_row, DROP COLUMN batch;
DROP TABLE batch_invalid, batch_chunks, batches;
