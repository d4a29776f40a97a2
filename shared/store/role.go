package store

import (
	"context"
	"database/sql"
	"fmt"
)

// roleSettings are what every connection of the role to this database starts with. They come from the role and not
// from the clients, because a pooler in between would lose what a session sets.
//
//   - A transaction that stands still ends before a lease does: a paused host must not block its successor.
//   - Plans are made once for each connection, often while a table is nearly empty and reading all of it looks
//     cheapest, and are kept when it is not empty any more. Every statement of a message has an index to go by.
const roleSettings = `DO $$
DECLARE setting text;
BEGIN
	PERFORM pg_advisory_xact_lock(hashtext('wafleet role settings')); -- of several that migrate, one after the other
	FOREACH setting IN ARRAY ARRAY[
		'idle_in_transaction_session_timeout = ''3s''', 'statement_timeout = ''30s''', 'enable_seqscan = off'
	] LOOP
		EXECUTE format('ALTER ROLE CURRENT_USER IN DATABASE %I SET %s', current_database(), setting);
	END LOOP;
END $$`

func setRole(ctx context.Context, db *sql.DB) error {
	if _, err := db.ExecContext(ctx, roleSettings); err != nil {
		return fmt.Errorf("set defaults of the role: %w", err)
	}
	return nil
}
