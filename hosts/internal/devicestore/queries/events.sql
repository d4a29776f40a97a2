-- name: GetEvent :one
-- The buffered event, and along with it the session of whoever is likely to have sent the next one: a decryption that
-- guessed right needs no other read.
SELECT (e.ciphertext_hash IS NOT NULL)::boolean AS found, e.sealed_plaintext, coalesce(e.server_at, 0)::bigint AS server_at,
    coalesce(e.created_at, now())::timestamptz AS created_at, s.sealed_session, i.identity
FROM (SELECT 1) one
LEFT JOIN device_events e ON e.company_id = @company_id AND e.jid = @jid AND e.ciphertext_hash = @ciphertext_hash
LEFT JOIN device_sessions s ON s.company_id = @company_id AND s.jid = @jid AND s.address = @likely
LEFT JOIN device_identities i ON i.company_id = @company_id AND i.jid = @jid AND i.address = @likely;
