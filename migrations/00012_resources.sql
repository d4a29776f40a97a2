-- +goose Up

-- Who does not want to hear from a company: checked when a send is accepted, and again when it is claimed. A person who is
-- known by number and by hidden id has a row for each, so that one look by the address that is written to finds either.
CREATE TABLE suppressions (
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    address    varchar(64) NOT NULL,
    person     varchar(64) NOT NULL,
    source     varchar(10) NOT NULL CHECK (source IN ('api', 'message')),
    message_id varchar(100),
    note       text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, address),
    CONSTRAINT a_message_suppressed CHECK ((source = 'message') = (message_id IS NOT NULL))
);
COMMENT ON COLUMN suppressions.address IS 'the digits of a number, or a hidden id with its @lid: as in messages.phone';
COMMENT ON COLUMN suppressions.person IS 'the address that all rows of one person share, and that is listed';
-- Not for looks by address, which have the primary key: hence the expression (shared/store/queries/outbox.sql).
CREATE INDEX suppressions_of_person ON suppressions ((company_id || ''), person);

-- A company that was deleted is gone for everybody at once, and its key with it. What it leaves behind is unreadable and is
-- taken away little by little; its id is free again after that.
ALTER TABLE companies ADD COLUMN deleted_at timestamptz;
CREATE INDEX companies_deleted ON companies (deleted_at) WHERE deleted_at IS NOT NULL;

-- Keys are listed and revoked by company.
CREATE INDEX api_keys_of_company ON api_keys (company_id, id);

-- Dead letters, found in this index and in no other (shared/store/queries/outbox.sql).
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries ((company_id || ''), endpoint_id, event_seq) WHERE state = 'dead';

-- +goose Down
DROP INDEX webhook_deliveries_dead, api_keys_of_company, companies_deleted;
ALTER TABLE companies DROP COLUMN deleted_at;
DROP TABLE suppressions;
