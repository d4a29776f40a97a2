-- name: KeepMedia :exec
-- The same bytes of the same company are one file: kept again, it only counts as used. One that was only announced has no
-- type, until somebody has looked at it.
INSERT INTO media (media_id, company_id, mime_type, size, about) VALUES (@media_id, @company_id, @mime_type, @size, @about)
ON CONFLICT (company_id, media_id) DO UPDATE SET
    used_at = now(),
    mime_type = CASE WHEN media.mime_type = '' THEN excluded.mime_type ELSE media.mime_type END,
    size = CASE WHEN media.mime_type = '' THEN excluded.size ELSE media.size END,
    about = CASE WHEN media.mime_type = '' THEN excluded.about ELSE media.about END;

-- name: UseMedia :one
UPDATE media SET used_at = now() WHERE company_id = @company_id AND media_id = @media_id RETURNING mime_type, size, about;

-- name: GetMediaUpload :one
-- Where WhatsApp has the file, as long as it surely still has it.
SELECT upload FROM media_uploads
WHERE company_id = @company_id AND media_id = @media_id AND kind = @kind AND uploaded_at > now() - interval '7 days';

-- name: KeepMediaUpload :exec
-- Nothing happens where the file is none of ours any more.
INSERT INTO media_uploads (media_id, company_id, kind, upload)
SELECT m.media_id, m.company_id, @kind, @upload FROM media m WHERE m.company_id = @company_id AND m.media_id = @media_id
ON CONFLICT (company_id, media_id, kind) DO UPDATE SET upload = excluded.upload, uploaded_at = now();

-- name: ListUnusedMedia :many
-- Files that nobody has sent or asked for in a long time, of all companies.
SELECT company_id, media_id FROM media WHERE used_at < now() - make_interval(secs => @age::float8) ORDER BY used_at LIMIT @page_size::integer;

-- name: DropMedia :execrows
-- 0 rows: it was used meanwhile.
DELETE FROM media WHERE company_id = @company_id AND media_id = @media_id AND used_at < now() - make_interval(secs => @age::float8);
