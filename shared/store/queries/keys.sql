-- name: CreateKey :exec
INSERT INTO api_keys (id, company_id, name, hash, scopes)
VALUES (@id, sqlc.narg(company_id), @name, @hash, @scopes);

-- name: GetKeyByHash :one
SELECT id, company_id, scopes FROM api_keys WHERE hash = @hash AND revoked_at IS NULL;

-- name: EnsureKey :exec
-- The installation's own admin key: made at the first start, and the same ever after.
INSERT INTO api_keys (id, name, hash, scopes) VALUES (@id, @name, @hash, @scopes)
ON CONFLICT (hash) DO NOTHING;
