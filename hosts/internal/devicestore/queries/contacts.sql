-- name: PutPushName :one
-- With the name as it was before; nothing is written if it is the same.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), old AS (
    SELECT c.push_name FROM device_contacts c WHERE c.company_id = @company_id AND c.jid = @jid AND c.contact = @contact
), written AS (
    INSERT INTO device_contacts (company_id, jid, contact, push_name)
    SELECT @company_id, @jid, @contact, @name::text FROM fence WHERE @name::text <> coalesce((SELECT old.push_name FROM old), '')
    ON CONFLICT (company_id, jid, contact) DO UPDATE SET push_name = excluded.push_name
)
SELECT EXISTS (SELECT 1 FROM fence) AS held, coalesce((SELECT old.push_name FROM old), '')::text AS previous;

-- name: PutBusinessName :one
-- With the name as it was before; nothing is written if it is the same.
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), old AS (
    SELECT c.business_name FROM device_contacts c WHERE c.company_id = @company_id AND c.jid = @jid AND c.contact = @contact
), written AS (
    INSERT INTO device_contacts (company_id, jid, contact, business_name)
    SELECT @company_id, @jid, @contact, @name::text FROM fence WHERE @name::text <> coalesce((SELECT old.business_name FROM old), '')
    ON CONFLICT (company_id, jid, contact) DO UPDATE SET business_name = excluded.business_name
)
SELECT EXISTS (SELECT 1 FROM fence) AS held, coalesce((SELECT old.business_name FROM old), '')::text AS previous;

-- name: PutContactNames :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_contacts (company_id, jid, contact, first_name, full_name)
    SELECT @company_id, @jid, n.contact, n.first_name, n.full_name
    FROM (SELECT unnest(@contacts::text[]) AS contact, unnest(@first_names::text[]) AS first_name, unnest(@full_names::text[]) AS full_name) n, fence
    ON CONFLICT (company_id, jid, contact) DO UPDATE SET first_name = excluded.first_name, full_name = excluded.full_name
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: PutRedactedPhones :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_contacts (company_id, jid, contact, redacted_phone)
    SELECT @company_id, @jid, n.contact, n.redacted_phone
    FROM (SELECT unnest(@contacts::text[]) AS contact, unnest(@redacted_phones::text[]) AS redacted_phone) n, fence
    ON CONFLICT (company_id, jid, contact) DO UPDATE SET redacted_phone = excluded.redacted_phone
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: ListContacts :many
-- One contact, or all for an empty one.
SELECT contact, first_name, full_name, push_name, business_name, redacted_phone FROM device_contacts
WHERE company_id = @company_id AND jid = @jid AND (@contact::text = '' OR contact = @contact);

-- name: PutMutedUntil :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_chat_settings (company_id, jid, chat, muted_until)
    SELECT @company_id, @jid, @chat, @muted_until FROM fence
    ON CONFLICT (company_id, jid, chat) DO UPDATE SET muted_until = excluded.muted_until
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: PutPinned :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_chat_settings (company_id, jid, chat, pinned)
    SELECT @company_id, @jid, @chat, @pinned FROM fence
    ON CONFLICT (company_id, jid, chat) DO UPDATE SET pinned = excluded.pinned
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: PutArchived :one
WITH fence AS MATERIALIZED (SELECT 1 FROM shard_lease l WHERE l.shard = @shard AND l.term = @term::uuid FOR KEY SHARE), written AS (
    INSERT INTO device_chat_settings (company_id, jid, chat, archived)
    SELECT @company_id, @jid, @chat, @archived FROM fence
    ON CONFLICT (company_id, jid, chat) DO UPDATE SET archived = excluded.archived
)
SELECT EXISTS (SELECT 1 FROM fence) AS held;

-- name: GetChatSettings :many
SELECT muted_until, pinned, archived FROM device_chat_settings WHERE company_id = @company_id AND jid = @jid AND chat = @chat;
