package devicestore

import (
	"context"
	"hash/maphash"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore/db"
)

var (
	_ store.ContactStore      = (*device)(nil)
	_ store.ChatSettingsStore = (*device)(nil)
)

// mutedForever is how the table has store.MutedForever.
const mutedForever = -1

// contactName says which name of whom is meant.
type contactName struct {
	contact  string
	business bool
}

// fingerprint stands for a name; two names that have the same are stored as one until the next start.
type fingerprint uint64

var fingerprints = maphash.MakeSeed()

// PutPushName tells whether the name was a new one, and the one before. It comes with every message.
func (d *device) PutPushName(ctx context.Context, user types.JID, pushName string) (changed bool, previous string, err error) {
	return d.putName(ctx, contactName{contact: user.String()}, pushName, func(ctx context.Context) (db.PutPushNameRow, error) {
		return d.store.queries.PutPushName(ctx, d.store.pool, db.PutPushNameParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Contact: user.String(), Name: pushName,
		})
	})
}

// PutBusinessName tells whether the name was a new one, and the one before.
func (d *device) PutBusinessName(ctx context.Context, user types.JID, businessName string) (changed bool, previous string, err error) {
	return d.putName(ctx, contactName{contact: user.String(), business: true}, businessName, func(ctx context.Context) (db.PutPushNameRow, error) {
		row, err := d.store.queries.PutBusinessName(ctx, d.store.pool, db.PutBusinessNameParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Contact: user.String(), Name: businessName,
		})
		return db.PutPushNameRow(row), err
	})
}

func (d *device) putName(ctx context.Context, whose contactName, name string, put func(ctx context.Context) (db.PutPushNameRow, error)) (bool, string, error) {
	d.naming.Lock()
	defer d.naming.Unlock()
	hash := fingerprint(maphash.String(fingerprints, name))
	if known, ok := d.names.get(whose); ok && known == hash {
		return false, "", nil
	}
	var row db.PutPushNameRow
	err := d.write(ctx, "put name", func(ctx context.Context) (held bool, err error) {
		row, err = put(ctx)
		return row.Held, err
	})
	if err != nil {
		d.names.forget(whose)
		return false, "", err
	}
	d.names.put(whose, hash)
	if row.Previous == name {
		return false, "", nil
	}
	return true, row.Previous, nil
}

// PutContactName stores a contact as the phone's address book has it. The interface names the two the other way round;
// this is the order in which whatsmeow passes them (appstate.go) and in which stock stores them.
func (d *device) PutContactName(ctx context.Context, user types.JID, firstName, fullName string) error {
	return d.PutAllContactNames(ctx, []store.ContactEntry{{JID: user, FirstName: firstName, FullName: fullName}})
}

// PutAllContactNames stores an address book, with one statement. Of entries for the same contact the first one counts.
func (d *device) PutAllContactNames(ctx context.Context, contacts []store.ContactEntry) error {
	arg := db.PutContactNamesParams{Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid}
	seen := map[types.JID]bool{}
	for _, c := range contacts {
		if seen[c.JID] {
			continue
		}
		seen[c.JID] = true
		arg.Contacts = append(arg.Contacts, c.JID.String())
		arg.FirstNames, arg.FullNames = append(arg.FirstNames, c.FirstName), append(arg.FullNames, c.FullName)
	}
	if len(arg.Contacts) == 0 {
		return nil
	}
	return d.write(ctx, "put contact names", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutContactNames(ctx, d.store.pool, arg)
	})
}

// PutManyRedactedPhones stores numbers of which WhatsApp shows a part only. Of entries for the same contact the first one
// counts.
func (d *device) PutManyRedactedPhones(ctx context.Context, entries []store.RedactedPhoneEntry) error {
	arg := db.PutRedactedPhonesParams{Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid}
	seen := map[types.JID]bool{}
	for _, e := range entries {
		if seen[e.JID] {
			continue
		}
		seen[e.JID] = true
		arg.Contacts, arg.RedactedPhones = append(arg.Contacts, e.JID.String()), append(arg.RedactedPhones, e.RedactedPhone)
	}
	if len(arg.Contacts) == 0 {
		return nil
	}
	return d.write(ctx, "put redacted phones", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutRedactedPhones(ctx, d.store.pool, arg)
	})
}

// GetContact returns a contact that is not Found if there is none.
func (d *device) GetContact(ctx context.Context, user types.JID) (types.ContactInfo, error) {
	rows, err := d.listContacts(ctx, user.String())
	if err != nil || len(rows) == 0 {
		return types.ContactInfo{}, err
	}
	return contactInfo(rows[0]), nil
}

// GetAllContacts returns all of them; there may be thousands.
func (d *device) GetAllContacts(ctx context.Context) (map[types.JID]types.ContactInfo, error) {
	rows, err := d.listContacts(ctx, "")
	if err != nil {
		return nil, err
	}
	all := make(map[types.JID]types.ContactInfo, len(rows))
	for _, row := range rows {
		jid, err := types.ParseJID(row.Contact)
		if err != nil {
			return nil, check(ctx, err)
		}
		all[jid] = contactInfo(row)
	}
	return all, nil
}

func (d *device) listContacts(ctx context.Context, contact string) ([]db.ListContactsRow, error) {
	return read(ctx, "list contacts", func(ctx context.Context) ([]db.ListContactsRow, error) {
		return d.store.queries.ListContacts(ctx, d.store.pool, db.ListContactsParams{CompanyID: d.owner.CompanyID, JID: d.jid, Contact: contact})
	})
}

func contactInfo(row db.ListContactsRow) types.ContactInfo {
	return types.ContactInfo{
		Found: true, FirstName: row.FirstName, FullName: row.FullName, PushName: row.PushName, BusinessName: row.BusinessName,
		RedactedPhone: row.RedactedPhone,
	}
}

// PutMutedUntil stores until when a chat is muted; the zero time is not at all.
func (d *device) PutMutedUntil(ctx context.Context, chat types.JID, mutedUntil time.Time) error {
	var seconds int64
	if mutedUntil.Equal(store.MutedForever) {
		seconds = mutedForever
	} else if !mutedUntil.IsZero() {
		seconds = mutedUntil.Unix()
	}
	return d.write(ctx, "put chat settings", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutMutedUntil(ctx, d.store.pool, db.PutMutedUntilParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Chat: chat.String(), MutedUntil: seconds,
		})
	})
}

// PutPinned stores whether a chat is pinned.
func (d *device) PutPinned(ctx context.Context, chat types.JID, pinned bool) error {
	return d.write(ctx, "put chat settings", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutPinned(ctx, d.store.pool, db.PutPinnedParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Chat: chat.String(), Pinned: pinned,
		})
	})
}

// PutArchived stores whether a chat is archived.
func (d *device) PutArchived(ctx context.Context, chat types.JID, archived bool) error {
	return d.write(ctx, "put chat settings", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutArchived(ctx, d.store.pool, db.PutArchivedParams{
			Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid, Chat: chat.String(), Archived: archived,
		})
	})
}

// GetChatSettings returns settings that are not Found if there are none.
func (d *device) GetChatSettings(ctx context.Context, chat types.JID) (types.LocalChatSettings, error) {
	found := true
	row, err := read(ctx, "get chat settings", func(ctx context.Context) (db.GetChatSettingsRow, error) {
		rows, err := d.store.queries.GetChatSettings(ctx, d.store.pool, db.GetChatSettingsParams{CompanyID: d.owner.CompanyID, JID: d.jid, Chat: chat.String()})
		if err != nil || len(rows) == 0 {
			found = false
			return db.GetChatSettingsRow{}, err
		}
		return rows[0], nil
	})
	if err != nil || !found {
		return types.LocalChatSettings{}, err
	}
	settings := types.LocalChatSettings{Found: true, Pinned: row.Pinned, Archived: row.Archived}
	if row.MutedUntil == mutedForever {
		settings.MutedUntil = store.MutedForever
	} else if row.MutedUntil > 0 {
		settings.MutedUntil = time.Unix(row.MutedUntil, 0)
	}
	return settings, nil
}
