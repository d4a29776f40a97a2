-- +goose Up

-- The files that companies send. Their bytes are in the media store, under company and id; the id is made of both.
CREATE TABLE media (
    media_id   text NOT NULL,
    company_id varchar(50) NOT NULL REFERENCES companies (company_id) ON DELETE CASCADE,
    mime_type  text NOT NULL,
    size       bigint NOT NULL CHECK (size >= 0),
    about      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    used_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, media_id)
);
COMMENT ON COLUMN media.about IS 'name, dimensions, thumbnail, as JSON, sealed with the company''s data key';
COMMENT ON COLUMN media.used_at IS 'when it was last given or asked for';

-- Where WhatsApp has an encrypted copy of a file, so that it is uploaded once for many messages.
CREATE TABLE media_uploads (
    media_id    text NOT NULL,
    company_id  varchar(50) NOT NULL,
    kind        varchar(20) NOT NULL,
    upload      bytea NOT NULL,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (company_id, media_id, kind),
    FOREIGN KEY (company_id, media_id) REFERENCES media (company_id, media_id) ON DELETE CASCADE
);
COMMENT ON COLUMN media_uploads.upload IS 'path, keys and hashes, as JSON, sealed with the company''s data key';

-- +goose Down
DROP TABLE media_uploads, media;
