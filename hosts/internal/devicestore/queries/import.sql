-- What a device of whatsmeow's own store becomes here. No lease is checked: the row of a session that nobody runs is locked for
-- the whole transaction (shared/store.Link), and whoever is to run it waits for that.

-- name: ImportDevice :exec
INSERT INTO devices (company_id, jid, lid, registration_id, sealed_keys, signed_prekey_id, signed_prekey_sig, account_details,
    account_sig, account_sig_key, device_sig, platform, business_name, push_name, facebook_uuid, lid_migration_at, tombstoned_at)
VALUES (@company_id, @jid, @lid, @registration_id, @sealed_keys, @signed_prekey_id, @signed_prekey_sig, @account_details,
    @account_sig, @account_sig_key, @device_sig, @platform, @business_name, @push_name, @facebook_uuid, @lid_migration_at, NULL);

-- name: ImportSessions :exec
INSERT INTO device_sessions (company_id, jid, address, sealed_session)
SELECT @company_id, @jid, unnest(@addresses::text[]), unnest(@sealed::bytea[]);

-- name: ImportIdentities :exec
INSERT INTO device_identities (company_id, jid, address, identity)
SELECT @company_id, @jid, unnest(@addresses::text[]), unnest(@identities::bytea[]);

-- name: ImportPrekeys :exec
INSERT INTO device_prekeys (company_id, jid, key_id, sealed_key, uploaded)
SELECT @company_id, @jid, unnest(@key_ids::integer[]), unnest(@sealed::bytea[]), unnest(@uploaded::boolean[]);

-- name: ImportSenderKeys :exec
INSERT INTO device_sender_keys (company_id, jid, chat, sender, sealed_key)
SELECT @company_id, @jid, unnest(@chats::text[]), unnest(@senders::text[]), unnest(@sealed::bytea[]);

-- name: ImportAppStateKeys :exec
INSERT INTO device_app_state_keys (company_id, jid, key_id, sealed_key, fingerprint, made_at)
SELECT @company_id, @jid, unnest(@key_ids::bytea[]), unnest(@sealed::bytea[]), unnest(@fingerprints::bytea[]), unnest(@made_at::bigint[]);

-- name: ImportAppState :exec
INSERT INTO device_app_state (company_id, jid, name, version, hash)
SELECT @company_id, @jid, unnest(@names::text[]), unnest(@versions::bigint[]), unnest(@hashes::bytea[]);

-- name: ImportAppStateMACs :exec
INSERT INTO device_app_state_macs (company_id, jid, name, version, index_mac, value_mac)
SELECT @company_id, @jid, unnest(@names::text[]), unnest(@versions::bigint[]), unnest(@index_macs::bytea[]), unnest(@value_macs::bytea[]);

-- name: ImportContacts :exec
INSERT INTO device_contacts (company_id, jid, contact, first_name, full_name, push_name, business_name, redacted_phone)
SELECT @company_id, @jid, unnest(@contacts::text[]), unnest(@first_names::text[]), unnest(@full_names::text[]), unnest(@push_names::text[]),
    unnest(@business_names::text[]), unnest(@redacted_phones::text[]);

-- name: ImportChatSettings :exec
INSERT INTO device_chat_settings (company_id, jid, chat, muted_until, pinned, archived)
SELECT @company_id, @jid, unnest(@chats::text[]), unnest(@muted_until::bigint[]), unnest(@pinned::boolean[]), unnest(@archived::boolean[]);

-- name: ImportSecrets :exec
INSERT INTO device_message_secrets (company_id, jid, chat, sender, message_id, sealed_secret)
SELECT @company_id, @jid, unnest(@chats::text[]), unnest(@senders::text[]), unnest(@message_ids::text[]), unnest(@sealed::bytea[]);

-- name: ImportTokens :exec
INSERT INTO device_privacy_tokens (company_id, jid, contact, sealed_token, given_at)
SELECT @company_id, @jid, unnest(@contacts::text[]), unnest(@sealed::bytea[]), unnest(@given_at::bigint[]);

-- name: ImportEvents :exec
INSERT INTO device_events (company_id, jid, ciphertext_hash, sealed_plaintext, server_at)
SELECT @company_id, @jid, unnest(@hashes::bytea[]), unnest(@sealed::bytea[]), unnest(@server_at::bigint[]);

-- name: ImportLIDs :exec
-- What the company has been told before is as new as what is imported.
INSERT INTO device_lids (company_id, lid, pn) SELECT @company_id, unnest(@lids::text[]), unnest(@pns::text[]) ON CONFLICT DO NOTHING;
