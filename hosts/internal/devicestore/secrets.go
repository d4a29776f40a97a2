package devicestore

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

var (
	_ store.SenderKeyStore    = (*senderKeys)(nil)
	_ store.MsgSecretStore    = (*msgSecrets)(nil)
	_ store.PrivacyTokenStore = (*privacyTokens)(nil)
)

// senderKeys are the keys of groups. Nothing of stock's changes but that an error aborts the send.
type senderKeys struct{ stock store.SenderKeyStore }

// PutSenderKey stores the key of a member.
func (s *senderKeys) PutSenderKey(ctx context.Context, group, user string, session []byte) error {
	return check(ctx, "put sender key", s.stock.PutSenderKey(ctx, group, user, session))
}

// GetSenderKey returns nil if the member has none.
func (s *senderKeys) GetSenderKey(ctx context.Context, group, user string) ([]byte, error) {
	key, err := s.stock.GetSenderKey(ctx, group, user)
	return key, check(ctx, "get sender key", err)
}

// msgSecrets are the secrets in messages that later ones (votes, edits) are encrypted with. whatsmeow only logs when it
// cannot store the one of a message it sends.
type msgSecrets struct{ stock store.MsgSecretStore }

// PutMessageSecrets stores several secrets or none.
func (m *msgSecrets) PutMessageSecrets(ctx context.Context, inserts []store.MessageSecretInsert) error {
	return check(ctx, "put message secrets", m.stock.PutMessageSecrets(ctx, inserts))
}

// PutMessageSecret stores the secret of one message.
func (m *msgSecrets) PutMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID, secret []byte) error {
	return check(ctx, "put message secret", m.stock.PutMessageSecret(ctx, chat, sender, id, secret))
}

// GetMessageSecret returns the secret of a message, with its sender as it was stored, or nil.
func (m *msgSecrets) GetMessageSecret(ctx context.Context, chat, sender types.JID, id types.MessageID) ([]byte, types.JID, error) {
	secret, sender, err := m.stock.GetMessageSecret(ctx, chat, sender, id)
	return secret, sender, check(ctx, "get message secret", err)
}

// privacyTokens show WhatsApp that a chat is not with a stranger. whatsmeow sends without one if it cannot read it, which
// WhatsApp may punish.
type privacyTokens struct{ stock store.PrivacyTokenStore }

// PutPrivacyTokens stores tokens that chats have given.
func (p *privacyTokens) PutPrivacyTokens(ctx context.Context, tokens ...store.PrivacyToken) error {
	return check(ctx, "put privacy tokens", p.stock.PutPrivacyTokens(ctx, tokens...))
}

// GetPrivacyToken returns nil if the chat has given none.
func (p *privacyTokens) GetPrivacyToken(ctx context.Context, user types.JID) (*store.PrivacyToken, error) {
	token, err := p.stock.GetPrivacyToken(ctx, user)
	return token, check(ctx, "get privacy token", err)
}
