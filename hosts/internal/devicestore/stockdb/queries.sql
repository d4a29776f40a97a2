-- Reads a database of whatsmeow's own store. It may hold the devices of many programs; nothing in it is changed.

-- name: Version :one
SELECT coalesce(version, 0)::integer AS version, coalesce(compat, version, 0)::integer AS compat FROM whatsmeow_version;

-- name: ListDevices :many
SELECT * FROM whatsmeow_device ORDER BY jid;

-- name: ListIdentities :many
SELECT their_id, identity FROM whatsmeow_identity_keys WHERE our_jid = @jid ORDER BY their_id;

-- name: ListPrekeys :many
SELECT key_id, key, uploaded FROM whatsmeow_pre_keys WHERE jid = @jid ORDER BY key_id;

-- name: ListSessions :many
SELECT their_id, session FROM whatsmeow_sessions WHERE our_jid = @jid AND session IS NOT NULL ORDER BY their_id;

-- name: ListSenderKeys :many
SELECT chat_id, sender_id, sender_key FROM whatsmeow_sender_keys WHERE our_jid = @jid ORDER BY chat_id, sender_id;

-- name: ListAppStateKeys :many
SELECT key_id, key_data, timestamp, fingerprint FROM whatsmeow_app_state_sync_keys WHERE jid = @jid ORDER BY key_id;

-- name: ListAppState :many
SELECT name, version, hash FROM whatsmeow_app_state_version WHERE jid = @jid ORDER BY name;

-- name: ListAppStateMACs :many
SELECT name, version, index_mac, value_mac FROM whatsmeow_app_state_mutation_macs WHERE jid = @jid ORDER BY name, version, index_mac;

-- name: ListContacts :many
SELECT their_jid, coalesce(first_name, '') AS first_name, coalesce(full_name, '') AS full_name, coalesce(push_name, '') AS push_name,
    coalesce(business_name, '') AS business_name, coalesce(redacted_phone, '') AS redacted_phone
FROM whatsmeow_contacts WHERE our_jid = @jid ORDER BY their_jid;

-- name: ListChatSettings :many
SELECT chat_jid, muted_until, pinned, archived FROM whatsmeow_chat_settings WHERE our_jid = @jid ORDER BY chat_jid;

-- name: ListSecrets :many
SELECT chat_jid, sender_jid, message_id, key FROM whatsmeow_message_secrets WHERE our_jid = @jid ORDER BY chat_jid, sender_jid, message_id;

-- name: ListTokens :many
SELECT their_jid, token, timestamp FROM whatsmeow_privacy_tokens WHERE our_jid = @jid ORDER BY their_jid;

-- name: ListEvents :many
SELECT ciphertext_hash, plaintext, server_timestamp FROM whatsmeow_event_buffer WHERE our_jid = @jid ORDER BY ciphertext_hash;

-- name: ListLIDs :many
-- The map is one for all devices. Of it, those pairs that the device has a session, an identity or a contact with, and its own.
SELECT lid, pn FROM whatsmeow_lid_map
WHERE lid = ANY (@users::text[]) OR pn = ANY (@users::text[])
ORDER BY lid;
