-- name: CreateKey :exec
INSERT INTO api_keys (id, company_id, name, hash, scopes)
VALUES (@id, sqlc.narg(company_id), @name, @hash, @scopes);

-- name: GetKeyByHash :one
SELECT id, company_id, scopes FROM api_keys WHERE hash = @hash AND revoked_at IS NULL;

-- name: EnsureKey :exec
-- The installation's own admin key: made at the first start, and the same ever after.
INSERT INTO api_keys (id, name, hash, scopes) VALUES (@id, @name, @hash, @scopes)
ON CONFLICT (hash) DO NOTHING;

-- name: ListKeys :many
-- Revoked ones too: who looks for a leaked key wants to see that it is.
SELECT * FROM api_keys WHERE company_id = @company_id AND id > @after::text ORDER BY id LIMIT @page_size::integer;

-- name: GetKey :one
SELECT * FROM api_keys WHERE company_id = @company_id AND id = @id;

-- name: UpdateKey :one
-- What is not given stays as it is.
UPDATE api_keys SET name = coalesce(sqlc.narg(name), name), scopes = coalesce(sqlc.narg(scopes)::text[], scopes)
WHERE company_id = @company_id AND id = @id AND revoked_at IS NULL
RETURNING *;

-- name: RevokeKey :one
-- Once and for ever: revoking it again changes nothing.
UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE company_id = @company_id AND id = @id
RETURNING *;

-- name: FindCompanyOfKey :one
SELECT company_id::text FROM api_keys WHERE id = @id AND company_id IS NOT NULL;
