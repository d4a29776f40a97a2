package devicestore

import (
	"context"
	"time"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore/db"
)

const (
	senderKeysTable = "device_sender_keys"
	secretsTable    = "device_message_secrets"
	tokensTable     = "device_privacy_tokens"
)

var (
	_ store.SenderKeyStore    = (*device)(nil)
	_ store.MsgSecretStore    = (*device)(nil)
	_ store.PrivacyTokenStore = (*device)(nil)
)

// PutSenderKey stores the key of a member of a group.
func (d *device) PutSenderKey(ctx context.Context, group, user string, session []byte) error {
	name := senderKeyName{group, user}
	if w := transactionOf(ctx); w != nil {
		set(&w.batch.senderKeys, name, session)
		return nil
	}
	return d.keep(ctx, "put sender key", batch{senderKeys: map[senderKeyName][]byte{name: session}})
}

// GetSenderKey returns nil if the member has none.
func (d *device) GetSenderKey(ctx context.Context, group, user string) ([]byte, error) {
	if w := transactionOf(ctx); w != nil {
		if key, ok := w.batch.senderKeys[senderKeyName{group, user}]; ok {
			return key, nil
		}
	}
	sealed, err := read(ctx, "get sender key", func(ctx context.Context) ([]byte, error) {
		return none(d.store.queries.GetSenderKey(ctx, d.store.pool, db.GetSenderKeyParams{
			CompanyID: d.owner.CompanyID, JID: d.jid, Chat: group, Sender: user,
		}))
	})
	if err != nil {
		return nil, err
	}
	return d.open(ctx, senderKeysTable, group+"|"+user, sealed)
}

func secretKey(chat, sender, id string) string { return chat + "|" + sender + "|" + id }

// PutMessageSecrets stores several secrets or none.
func (d *device) PutMessageSecrets(ctx context.Context, inserts []store.MessageSecretInsert) error {
	if len(inserts) == 0 {
		return nil
	}
	return d.keep(ctx, "put message secrets", batch{secrets: inserts})
}

// PutMessageSecret stores the secret of one message, which later ones (votes, edits) are encrypted with. That of a
// message to a single contact goes with the sessions of its send; if that stores none, no device has got the message.
func (d *device) PutMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID, secret []byte) error {
	insert := store.MessageSecretInsert{Chat: chat, Sender: sender, ID: id, Secret: secret}
	if s, ok := ctx.Value(sendKey{}).(*send); ok && (chat.Server == types.DefaultUserServer || chat.Server == types.HiddenUserServer) {
		s.work.mu.Lock()
		defer s.work.mu.Unlock()
		s.work.batch.secrets = append(s.work.batch.secrets, insert)
		return nil
	}
	return d.PutMessageSecrets(ctx, []store.MessageSecretInsert{insert})
}

// GetMessageSecret returns the secret of a message, with its sender as it was stored, or nil. Chat and sender may be
// given by their LID or by their phone number, whichever of the two was stored.
func (d *device) GetMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID) ([]byte, types.JID, error) {
	chats, err := d.lids.bothOf(ctx, chat)
	if err != nil {
		return nil, types.EmptyJID, err
	}
	senders, err := d.lids.bothOf(ctx, sender)
	if err != nil {
		return nil, types.EmptyJID, err
	}
	rows, err := read(ctx, "get message secret", func(ctx context.Context) ([]db.GetMessageSecretRow, error) {
		return d.store.queries.GetMessageSecret(ctx, d.store.pool, db.GetMessageSecretParams{
			CompanyID: d.owner.CompanyID, JID: d.jid, MessageID: id, Chats: chats, Senders: senders,
		})
	})
	if err != nil || len(rows) == 0 {
		return nil, types.EmptyJID, err
	}
	stored, err := types.ParseJID(rows[0].Sender)
	if err != nil {
		return nil, types.EmptyJID, check(ctx, err)
	}
	secret, err := d.open(ctx, secretsTable, secretKey(rows[0].Chat, rows[0].Sender, id), rows[0].SealedSecret)
	return secret, stored, err
}

// PutPrivacyTokens stores tokens that chats have given. They show WhatsApp that a chat is not with a stranger.
func (d *device) PutPrivacyTokens(ctx context.Context, tokens ...store.PrivacyToken) error {
	arg := db.PutPrivacyTokensParams{Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid}
	at := map[string]int{}
	for _, token := range tokens {
		contact := token.User.ToNonAD().String()
		sealed, err := d.seal(ctx, tokensTable, contact, token.Token)
		if err != nil {
			return err
		}
		if i, twice := at[contact]; twice { // the last one counts
			arg.Tokens[i], arg.Times[i] = sealed, token.Timestamp.Unix()
			continue
		}
		at[contact] = len(arg.Contacts)
		arg.Contacts, arg.Tokens = append(arg.Contacts, contact), append(arg.Tokens, sealed)
		arg.Times = append(arg.Times, token.Timestamp.Unix())
	}
	if len(arg.Contacts) == 0 {
		return nil
	}
	d.granting.Lock()
	defer d.granting.Unlock()
	d.tokens.clear()
	return d.write(ctx, "put privacy tokens", func(ctx context.Context) (bool, error) {
		return d.store.queries.PutPrivacyTokens(ctx, d.store.pool, arg)
	})
}

// GetPrivacyToken returns nil if the chat has given none, which is remembered. whatsmeow would send without one if it
// could not read it, which WhatsApp may punish.
func (d *device) GetPrivacyToken(ctx context.Context, user types.JID) (*store.PrivacyToken, error) {
	contact := user.ToNonAD()
	d.granting.Lock()
	defer d.granting.Unlock()
	if _, absent := d.tokens.get(contact.String()); absent {
		return nil, nil
	}
	contacts, err := d.lids.bothOf(ctx, contact)
	if err != nil {
		return nil, err
	}
	rows, err := read(ctx, "get privacy token", func(ctx context.Context) ([]db.GetPrivacyTokenRow, error) {
		return d.store.queries.GetPrivacyToken(ctx, d.store.pool, db.GetPrivacyTokenParams{CompanyID: d.owner.CompanyID, JID: d.jid, Contacts: contacts})
	})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		d.tokens.put(contact.String(), struct{}{})
		return nil, nil
	}
	token, err := d.open(ctx, tokensTable, rows[0].Contact, rows[0].SealedToken)
	if err != nil || token == nil {
		return nil, err
	}
	return &store.PrivacyToken{User: contact, Token: token, Timestamp: time.Unix(rows[0].GivenAt, 0)}, nil
}
