package devicestore

import (
	"context"
	"maps"
	"slices"
	"strings"

	"wafleet/hosts/internal/devicestore/db"
)

// The parts of Import that are no secrets of Signal's: what the device knows of the phone's contacts and chats.

func (i *importer) appStateKeys(ctx context.Context) error {
	rows, err := i.read.ListAppStateKeys(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportAppStateKeysParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, appStateKeysTable, string(row.KeyID), row.KeyData)
		if err != nil {
			return err
		}
		arg.KeyIds, arg.Sealed = append(arg.KeyIds, row.KeyID), append(arg.Sealed, sealed)
		arg.Fingerprints, arg.MadeAt = append(arg.Fingerprints, row.Fingerprint), append(arg.MadeAt, row.Timestamp)
	}
	return i.queries.ImportAppStateKeys(ctx, i.tx, arg)
}

func (i *importer) appState(ctx context.Context) error {
	rows, err := i.read.ListAppState(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportAppStateParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		arg.Names, arg.Versions, arg.Hashes = append(arg.Names, row.Name), append(arg.Versions, row.Version), append(arg.Hashes, row.Hash)
	}
	if err := i.queries.ImportAppState(ctx, i.tx, arg); err != nil {
		return err
	}
	macs, err := i.read.ListAppStateMACs(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	of := db.ImportAppStateMACsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range macs {
		of.Names, of.Versions = append(of.Names, row.Name), append(of.Versions, row.Version)
		of.IndexMacs, of.ValueMacs = append(of.IndexMacs, row.IndexMac), append(of.ValueMacs, row.ValueMac)
	}
	return i.queries.ImportAppStateMACs(ctx, i.tx, of)
}

func (i *importer) contacts(ctx context.Context) error {
	rows, err := i.read.ListContacts(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportContactsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		i.meet(row.TheirJid)
		arg.Contacts = append(arg.Contacts, row.TheirJid)
		arg.FirstNames, arg.FullNames = append(arg.FirstNames, row.FirstName), append(arg.FullNames, row.FullName)
		arg.PushNames, arg.BusinessNames = append(arg.PushNames, row.PushName), append(arg.BusinessNames, row.BusinessName)
		arg.RedactedPhones = append(arg.RedactedPhones, row.RedactedPhone)
	}
	return i.queries.ImportContacts(ctx, i.tx, arg)
}

func (i *importer) chatSettings(ctx context.Context) error {
	rows, err := i.read.ListChatSettings(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportChatSettingsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		arg.Chats, arg.MutedUntil = append(arg.Chats, row.ChatJid), append(arg.MutedUntil, row.MutedUntil)
		arg.Pinned, arg.Archived = append(arg.Pinned, row.Pinned), append(arg.Archived, row.Archived)
	}
	return i.queries.ImportChatSettings(ctx, i.tx, arg)
}

// lids copies the pairs of those whom the device knows: stock has one map for all devices, perhaps of other companies.
func (i *importer) lids(ctx context.Context) error {
	rows, err := i.read.ListLIDs(ctx, i.from, slices.Sorted(maps.Keys(i.users)))
	if err != nil {
		return err
	}
	arg := db.ImportLIDsParams{CompanyID: i.companyID}
	for _, row := range rows {
		arg.Lids, arg.Pns = append(arg.Lids, row.LID), append(arg.Pns, row.PN)
	}
	return i.queries.ImportLIDs(ctx, i.tx, arg)
}

// meet notes the user of a JID or a Signal address: what comes before the device, the server and the mark of a LID.
func (i *importer) meet(address string) {
	user, _, _ := strings.Cut(address, "@")
	user, _, _ = strings.Cut(user, ":")
	user, _, _ = strings.Cut(user, ".")
	if user, _, _ = strings.Cut(user, "_"); user != "" {
		i.users[user] = true
	}
}
