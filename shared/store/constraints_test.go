package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the design says can never be is refused by the database, whoever writes it.
func TestConstraints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	f.put(t, outgoing{id: "m", status: "queued"})
	f.exec(t, `UPDATE whatsapp_sessions SET jid = '7900:1@s.whatsapp.net' WHERE company_id = 'acme'`)
	const message = `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, term, incarnation, wire) VALUES `
	for _, c := range []struct{ constraint, statement string }{
		{"installation_pkey", `INSERT INTO installation (shards, id_secret) VALUES (4, sha256(''))`},
		{"shard_lease_shard_check", `INSERT INTO shard_lease (shard) VALUES (-1)`},
		{"held_entirely_or_not_at_all", `UPDATE shard_lease SET term = NULL WHERE shard = 0`},
		{"held_entirely_or_not_at_all", `UPDATE shard_lease SET host_id = 'x' WHERE shard = 1`},
		{"shard_lease_term_key", `UPDATE shard_lease SET host_id = 'x', term = (SELECT term FROM shard_lease WHERE shard = 0) WHERE shard = 1`},
		{"companies_company_id_check", `INSERT INTO companies (company_id, shard) VALUES ('a b', 0)`},
		{"companies_company_id_key", `INSERT INTO companies (company_id, shard) VALUES ('acme', 0)`},
		{"whatsapp_sessions_state_check", `UPDATE whatsapp_sessions SET state = 'asleep'`},
		{"whatsapp_sessions_user_action_check", `UPDATE whatsapp_sessions SET user_action = 'pray'`},
		{"only_a_connected_session_has_a_time", `UPDATE whatsapp_sessions SET state = 'connected'`},
		{"only_a_connected_session_has_a_time", `UPDATE whatsapp_sessions SET connected_at = now()`},
		{"observed_never_leads", `UPDATE whatsapp_sessions SET observed_generation = 1`},
		{"one_company_per_number", `UPDATE whatsapp_sessions SET jid = '7900:2@s.whatsapp.net' WHERE company_id = 'other'`},
		{"one_row_per_message", message + `('acme', '', 'm', 'outgoing', 'accepted', 0, 'text', '', NULL, NULL, NULL, NULL)`},
		{"status_of_its_direction", message + `('acme', '', 'n', 'outgoing', 'received', 0, 'text', '', '', NULL, NULL, NULL)`},
		{"status_of_its_direction", message + `('acme', '', 'n', 'incoming', 'sent', 0, 'text', '', '', NULL, NULL, NULL)`},
		{"messages_direction_check", message + `('acme', '', 'n', 'sideways', 'sent', 0, 'text', '', '', NULL, NULL, NULL)`},
		{"a_body_before_it_is_sent", message + `('acme', '', 'n', 'outgoing', 'queued', 0, 'text', '', NULL, NULL, NULL, NULL)`},
		{"an_attempt_has_its_owner", message + `('acme', '', 'n', 'outgoing', 'sending', 0, 'text', '', '', NULL, gen_random_uuid(), '')`},
		{"an_attempt_has_its_owner", message + `('acme', '', 'n', 'outgoing', 'sending', 0, 'text', '', '', gen_random_uuid(), NULL, '')`},
		{"an_attempt_has_its_owner", message + `('acme', '', 'n', 'outgoing', 'sending', 0, 'text', '', '', gen_random_uuid(), gen_random_uuid(), NULL)`},
		{"messages_company_id_fkey", message + `('nobody', '', 'n', 'outgoing', 'accepted', 0, 'text', '', NULL, NULL, NULL, NULL)`},
		{"messages_client_ref_check", `UPDATE messages SET client_ref = repeat('x', 513)`},
		{"quarantine_company_id_fkey", `INSERT INTO quarantine (company_id, source, reason) VALUES ('nobody', '', '')`},
		{"api_keys_hash_check", `INSERT INTO api_keys (id, hash, scopes) VALUES ('k', 'short', '{}')`},
	} {
		_, err := f.pool.Exec(t.Context(), c.statement)
		require.Error(t, err, c.statement)
		requireViolation(t, err, c.constraint)
	}
}
