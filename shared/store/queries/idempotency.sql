-- name: GetIdempotentAnswer :one
SELECT body_hash, answer FROM idempotent_answers
WHERE company_id = @company_id AND operation = @operation AND key_hash = @key_hash;

-- name: KeepIdempotentAnswer :execrows
-- 0 rows: another call with this key was first.
INSERT INTO idempotent_answers (company_id, operation, key_hash, body_hash, answer)
VALUES (@company_id, @operation, @key_hash, @body_hash, @answer)
ON CONFLICT (company_id, operation, key_hash) DO NOTHING;
