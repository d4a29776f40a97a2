-- +goose Up

-- The device store is cleaned once a day for the whole installation, by whichever host comes first.
ALTER TABLE fleet
    ADD COLUMN devices_cleaned_at     timestamptz NOT NULL DEFAULT '-infinity',
    ADD COLUMN devices_cleaning_until timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN fleet.devices_cleaning_until IS 'one host is cleaning the device store until then';

-- +goose Down
ALTER TABLE fleet DROP COLUMN devices_cleaning_until, DROP COLUMN devices_cleaned_at;
