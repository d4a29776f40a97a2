-- +goose Up

-- Where the other hosts reach a host to notice its death: host:port, empty where nobody can.
ALTER TABLE hosts ADD COLUMN peer text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE hosts DROP COLUMN peer;
