-- +goose Up

-- The device store is cleaned once a day for the whole installation, by whichever host comes first.
ALTER TABLE fleet
    ADD COLUMN devices_cleaned_at     timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN devices_cleaning_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN fleet.devices_cleaning_until IS 'one host is cleaning the device store until then';

-- What a company's messages came to, raised in the statements that raise its seq: counting them would take as long as
-- there are messages.
ALTER TABLE company_seq
    ADD COLUMN sent     bigint NOT NULL DEFAULT 0,
    ADD COLUMN received bigint NOT NULL DEFAULT 0,
    ADD COLUMN failed   bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN company_seq.failed IS 'without what never reached the queue, which a repeated call may still lift';
UPDATE company_seq q SET sent = m.sent, received = m.received, failed = m.failed
FROM (SELECT company_id,
             count(*) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL) AS sent,
             count(*) FILTER (WHERE direction = 'incoming') AS received,
             count(*) FILTER (WHERE direction = 'outgoing' AND status = 'failed' AND reason <> 'not_enqueued') AS failed
      FROM messages GROUP BY company_id) AS m
WHERE q.company_id = m.company_id;

-- +goose Down
ALTER TABLE company_seq DROP COLUMN failed, DROP COLUMN received, DROP COLUMN sent;
ALTER TABLE fleet DROP COLUMN devices_cleaning_until, DROP COLUMN devices_cleaned_at;
