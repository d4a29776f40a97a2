package devicestore

import (
	"context"
	"errors"
	"strings"

	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore/db"
)

// maxMigrations bounds how often a migration starts over because somebody stepped one of the sessions.
const maxMigrations = 5

// MigratePNToLID moves what is stored under a phone number to the LID, over what is stored there. whatsmeow asks for it
// with every message; what has nothing to move any more is remembered. Stock counts a migration that failed, or is
// still on its way, as done; here one that failed is tried again, and others wait.
func (d *device) MigratePNToLID(ctx context.Context, pn, lid types.JID) error {
	user := pn.SignalAddressUser()
	if _, ok := d.migrated.get(user); ok {
		return nil
	}
	d.migrating.Lock()
	defer d.migrating.Unlock()
	if _, ok := d.migrated.get(user); ok {
		return nil
	}
	for attempt := 1; ; attempt++ {
		err := d.migrate(ctx, user, lid.SignalAddressUser())
		var stale *staleError
		if errors.As(err, &stale) && attempt < maxMigrations {
			if err = stale.settle(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return check(ctx, err)
		}
		d.migrated.put(user, struct{}{})
		return nil
	}
}

// migrate moves what is sealed for one place to another: it is read, sealed anew, and stored and deleted with one
// statement. As work of its own it takes its turn with the sessions' other writers.
func (d *device) migrate(ctx context.Context, pn, lid string) error {
	now, _ := d.steps.now(nil)
	rows, err := read(ctx, "list by number", func(ctx context.Context) ([]db.ListByNumberRow, error) {
		return d.store.queries.ListByNumber(ctx, d.store.pool, db.ListByNumberParams{CompanyID: d.owner.CompanyID, JID: d.jid, Prefix: pn + ":"})
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	b := batch{}
	var addresses []string
	for _, row := range rows {
		moved := lid + strings.TrimPrefix(row.Address, pn)
		switch row.Kind {
		case "session":
			session, err := d.open(ctx, sessionsTable, row.Address, row.Content)
			if err != nil {
				return err
			}
			set(&b.goneSessions, row.Address, true)
			addresses = append(addresses, row.Address)
			if session != nil {
				set(&b.sessions, moved, session)
				addresses = append(addresses, moved)
			}
		case "identity":
			set(&b.identities, moved, *identityOf(row.Content))
			set(&b.goneIdentities, row.Address, true)
		case "sender_key":
			key, err := d.open(ctx, senderKeysTable, row.Chat+"|"+row.Address, row.Content)
			if err != nil {
				return err
			}
			if key != nil {
				set(&b.senderKeys, senderKeyName{row.Chat, moved}, key)
			}
			b.goneSenders = append(b.goneSenders, row.Address)
		}
	}
	w := newWork()
	w.note(now, addresses...)
	defer d.steps.forgetAll()
	return d.steps.writeAs(w, addresses, func() error { return d.keep(ctx, "move", b) })
}
