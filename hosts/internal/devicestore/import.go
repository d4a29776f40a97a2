package devicestore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"

	"wafleet/hosts/internal/devicestore/db"
	"wafleet/hosts/internal/devicestore/stockdb"
)

// stockVersion is the version of stock's tables that this build reads: that of the whatsmeow it is built with.
const stockVersion = 11

// ErrStockVersion says that a stock database has tables of another version.
var ErrStockVersion = errors.New("the stock database has tables of another version")

// StockDevice is a device as stock has it.
type StockDevice = stockdb.WhatsmeowDevice

// StockDevices lists the devices of a stock database.
func StockDevices(ctx context.Context, from stockdb.DBTX) ([]StockDevice, error) {
	version, err := stockdb.New().Version(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("read version of the stock database: %w", err)
	}
	if version.Version < stockVersion || version.Compat > stockVersion {
		return nil, fmt.Errorf("%w: it has %d, this program reads %d", ErrStockVersion, version.Version, stockVersion)
	}
	devices, err := stockdb.New().ListDevices(ctx, from)
	if err != nil {
		return nil, fmt.Errorf("list stock devices: %w", err)
	}
	return devices, nil
}

// Import copies a device of a stock database, with all that belongs to it, to a company. It writes in the caller's transaction,
// in which nobody else may run the company's session, and reads from the other database; that stays as it is. From then
// on only one of the two copies may be used: both would step the same Signal sessions.
func (s *Store) Import(ctx context.Context, tx pgx.Tx, companyID string, from stockdb.DBTX, device StockDevice) error {
	i := &importer{Store: s, tx: tx, from: from, read: stockdb.New(), companyID: companyID, jid: device.JID, users: map[string]bool{}}
	if err := i.device(ctx, device); err != nil {
		return fmt.Errorf("import device: %w", err)
	}
	for _, part := range []struct {
		what string
		copy func(ctx context.Context) error
	}{
		{"sessions", i.sessions},
		{"identities", i.identities},
		{"prekeys", i.prekeys},
		{"sender keys", i.senderKeys},
		{"app state keys", i.appStateKeys},
		{"app state", i.appState},
		{"contacts", i.contacts},
		{"chat settings", i.chatSettings},
		{"message secrets", i.secrets},
		{"privacy tokens", i.tokens},
		{"buffered events", i.events},
		{"lids", i.lids}, // last: it needs to know of whom
	} {
		if err := part.copy(ctx); err != nil {
			return fmt.Errorf("import %s: %w", part.what, err)
		}
	}
	return nil
}

// importer copies one device.
type importer struct {
	*Store

	tx             pgx.Tx
	from           stockdb.DBTX
	read           *stockdb.Queries
	companyID, jid string
	users          map[string]bool // whom the device knows
}

// seal seals for a row, as device.seal does.
func (i *importer) seal(ctx context.Context, table, key string, plain []byte) ([]byte, error) {
	place := (&device{jid: i.jid}).place(table, key)
	sealed, err := i.sealer.Seal(ctx, i.companyID, place, plain)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

func (i *importer) device(ctx context.Context, d StockDevice) error {
	plain := make([]byte, 0, privateKeys*keySize+len(d.AdvKey))
	for _, key := range [][]byte{d.NoiseKey, d.IdentityKey, d.SignedPreKey} {
		if len(key) != keySize {
			return errKeyLength
		}
		plain = append(plain, key...)
	}
	sealed, err := i.sealer.Seal(ctx, i.companyID, keysPlace(i.jid), append(plain, d.AdvKey...))
	if err != nil {
		return fmt.Errorf("seal keys: %w", err)
	}
	i.meet(d.JID)
	i.meet(d.LID.String)
	return i.queries.ImportDevice(ctx, i.tx, db.ImportDeviceParams{
		CompanyID: i.companyID, JID: d.JID, LID: d.LID.String, RegistrationID: d.RegistrationID, SealedKeys: sealed,
		SignedPrekeyID: d.SignedPreKeyID, SignedPrekeySig: d.SignedPreKeySig,
		AccountDetails: d.AdvDetails, AccountSig: d.AdvAccountSig, AccountSigKey: d.AdvAccountSigKey, DeviceSig: d.AdvDeviceSig,
		Platform: d.Platform, BusinessName: d.BusinessName, PushName: d.PushName, FacebookUUID: d.FacebookUUID, LidMigrationAt: d.LidMigrationTs,
	})
}

func (i *importer) sessions(ctx context.Context) error {
	rows, err := i.read.ListSessions(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportSessionsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, sessionsTable, row.TheirID, row.Session)
		if err != nil {
			return err
		}
		i.meet(row.TheirID)
		arg.Addresses, arg.Sealed = append(arg.Addresses, row.TheirID), append(arg.Sealed, sealed)
	}
	return i.queries.ImportSessions(ctx, i.tx, arg)
}

func (i *importer) identities(ctx context.Context) error {
	rows, err := i.read.ListIdentities(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportIdentitiesParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		i.meet(row.TheirID)
		arg.Addresses, arg.Identities = append(arg.Addresses, row.TheirID), append(arg.Identities, row.Identity)
	}
	return i.queries.ImportIdentities(ctx, i.tx, arg)
}

func (i *importer) prekeys(ctx context.Context) error {
	rows, err := i.read.ListPrekeys(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportPrekeysParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, preKeysTable, strconv.Itoa(row.KeyID), row.Key)
		if err != nil {
			return err
		}
		arg.KeyIds, arg.Sealed, arg.Uploaded = append(arg.KeyIds, row.KeyID), append(arg.Sealed, sealed), append(arg.Uploaded, row.Uploaded)
	}
	return i.queries.ImportPrekeys(ctx, i.tx, arg)
}

func (i *importer) senderKeys(ctx context.Context) error {
	rows, err := i.read.ListSenderKeys(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportSenderKeysParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, senderKeysTable, row.ChatID+"|"+row.SenderID, row.SenderKey)
		if err != nil {
			return err
		}
		arg.Chats, arg.Senders, arg.Sealed = append(arg.Chats, row.ChatID), append(arg.Senders, row.SenderID), append(arg.Sealed, sealed)
	}
	return i.queries.ImportSenderKeys(ctx, i.tx, arg)
}

func (i *importer) secrets(ctx context.Context) error {
	rows, err := i.read.ListSecrets(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportSecretsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, secretsTable, secretKey(row.ChatJid, row.SenderJid, row.MessageID), row.Key)
		if err != nil {
			return err
		}
		arg.Chats, arg.Senders = append(arg.Chats, row.ChatJid), append(arg.Senders, row.SenderJid)
		arg.MessageIds, arg.Sealed = append(arg.MessageIds, row.MessageID), append(arg.Sealed, sealed)
	}
	return i.queries.ImportSecrets(ctx, i.tx, arg)
}

func (i *importer) tokens(ctx context.Context) error {
	rows, err := i.read.ListTokens(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportTokensParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		sealed, err := i.seal(ctx, tokensTable, row.TheirJid, row.Token)
		if err != nil {
			return err
		}
		arg.Contacts, arg.Sealed, arg.GivenAt = append(arg.Contacts, row.TheirJid), append(arg.Sealed, sealed), append(arg.GivenAt, row.Timestamp)
	}
	return i.queries.ImportTokens(ctx, i.tx, arg)
}

func (i *importer) events(ctx context.Context) error {
	rows, err := i.read.ListEvents(ctx, i.from, i.jid)
	if err != nil {
		return err
	}
	arg := db.ImportEventsParams{CompanyID: i.companyID, JID: i.jid}
	for _, row := range rows {
		var sealed []byte
		if row.Plaintext != nil { // it is decrypted, and was not handled
			if sealed, err = i.seal(ctx, eventsTable, string(row.CiphertextHash), row.Plaintext); err != nil {
				return err
			}
		}
		arg.Hashes, arg.Sealed, arg.ServerAt = append(arg.Hashes, row.CiphertextHash), append(arg.Sealed, sealed), append(arg.ServerAt, row.ServerTimestamp)
	}
	return i.queries.ImportEvents(ctx, i.tx, arg)
}
