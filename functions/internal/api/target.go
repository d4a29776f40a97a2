package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// editWindow is how long WhatsApp's apps take an edit after the message.
const editWindow = 15 * time.Minute

// maxQuote is how much of an answered message is shown above the answer, in runes.
const maxQuote = 300

// address decides whom a message goes to and which messages it speaks of.
func (a *API) address(ctx context.Context, o *outgoing, r *contract.MessageRequest) error {
	if r.To != nil {
		to, err := message.ParseRecipient(*r.To)
		if err != nil {
			return invalid("to", "to "+err.Error())
		}
		o.to = to
	}
	if o.content.Kind.About() {
		if err := a.aim(ctx, o, r.MessageID); err != nil {
			return err
		}
	}
	if o.to == "" {
		return invalid("to", "to is required")
	}
	if r.ReplyTo == nil {
		return nil
	}
	row, err := a.referred(ctx, o.company, *r.ReplyTo)
	if err != nil {
		return referenceProblem("replyTo", err)
	}
	ref := refOf(row)
	if err := checkChat("replyTo", row, o.to); err != nil {
		return err
	}
	o.content.ReplyTo = &ref
	ref.Kind = message.Kind(row.Kind)
	ref.Text, err = a.quote(ctx, o.company, row)
	return err
}

// aim points a reaction, an edit or a revoke at its message, and sends it to that one's chat.
func (a *API) aim(ctx context.Context, o *outgoing, id *string) error {
	if id == nil {
		return invalid("messageId", "messageId is required")
	}
	row, err := a.referred(ctx, o.company, *id)
	if err != nil {
		return referenceProblem("messageId", err)
	}
	ref := refOf(row)
	o.content.Target = &ref
	if o.to == "" {
		o.to = ref.Chat
	}
	if err := checkChat("messageId", row, o.to); err != nil {
		return err
	}
	kind := o.content.Kind
	o.checks = append(o.checks, func() error { return checkAim(kind, row) })
	return nil
}

// checkAim refuses what WhatsApp's apps would ignore.
func checkAim(kind message.Kind, row db.GetReferredMessageRow) error {
	own := row.Direction == string(contract.Outgoing)
	ended := []message.Status{message.Failed, message.Expired, message.Canceled}
	at := row.CreatedAt
	if row.SentAt != nil {
		at = *row.SentAt
	}
	switch {
	case own && slices.Contains(ended, message.Status(row.Status)):
		return invalid("messageId", "messageId: the message was not sent")
	case own && row.SentAt == nil && row.DueAt.After(time.Now()):
		return invalid("messageId", "messageId: the message is not sent yet; it can be canceled")
	case kind == message.Edit && (!own || row.Kind != string(message.Text)):
		return invalid("messageId", "messageId: only the company's own texts can be edited")
	case kind == message.Edit && time.Since(at) > editWindow:
		return invalid("messageId", fmt.Sprintf("messageId: a message can be edited for %.0f minutes", editWindow.Minutes()))
	case kind == message.Revoke && !own && !message.IsGroup(chatOf(row)):
		return invalid("messageId", "messageId: only the company's own messages can be revoked")
	}
	return nil
}

// checkChat refuses to speak of a message in another chat than its own.
func checkChat(field string, row db.GetReferredMessageRow, to string) error {
	if !slices.Contains(addressesOf(row), to) {
		return invalid(field, field+": the message is not of this chat")
	}
	return nil
}

func (a *API) referred(ctx context.Context, companyID, id string) (db.GetReferredMessageRow, error) {
	row, err := a.queries.GetReferredMessage(ctx, a.store.Pool(), db.GetReferredMessageParams{CompanyID: companyID, MessageID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return row, noMessage(id)
	}
	if err != nil {
		return row, fmt.Errorf("read message that is referred to: %w", err)
	}
	return row, nil
}

// referenceProblem names the field with the id that leads nowhere.
func referenceProblem(field string, err error) error {
	if p, ok := errors.AsType[*problem.Problem](err); ok {
		return p.With("field", field)
	}
	return err
}

// refOf names a message of ours as WhatsApp does.
func refOf(row db.GetReferredMessageRow) message.Ref {
	ref := message.Ref{MessageID: row.MessageID, WAMessageID: row.MessageID, Chat: chatOf(row), FromMe: true}
	ref.Sender, _, _ = strings.Cut(strings.Split(row.OwnJid, "@")[0], ":")
	if row.Direction == string(contract.Incoming) {
		ref.WAMessageID, ref.FromMe, ref.Sender = value(row.WaMessageID), false, incomingAddress(value(row.Sender), row.Phone)
	}
	return ref
}

// chatOf is the address that a message's chat is sent to.
func chatOf(row db.GetReferredMessageRow) string {
	switch {
	case row.Direction == string(contract.Outgoing):
		return row.Phone
	case message.IsGroup(row.Chat):
		return row.Chat
	case isDigits(row.Phone):
		return row.Phone // it has one whichever way the sender is addressed
	}
	return incomingAddress(row.Chat, row.Phone)
}

// addressesOf are all the addresses that a message's chat is known by.
func addressesOf(row db.GetReferredMessageRow) []string {
	if row.Direction == string(contract.Outgoing) {
		return []string{row.Phone}
	}
	return []string{chatOf(row), incomingAddress(row.Chat, row.Phone)}
}

// incomingAddress is the address behind what the row of an incoming message holds: a hidden id goes without its server
// there, and is one because it is not the number.
func incomingAddress(stored, number string) string {
	if stored == "" || stored == number || strings.Contains(stored, "@") {
		return stored
	}
	return message.LIDAddress(stored)
}

func isDigits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// quote is what an answered message says, as far as it is shown; nothing where that is not known.
func (a *API) quote(ctx context.Context, companyID string, row db.GetReferredMessageRow) (string, error) {
	if row.Body == nil {
		return "", nil
	}
	body, err := a.vault.Open(ctx, companyID, message.BodyContext(row.MessageID), row.Body)
	if errors.Is(err, vault.ErrNoKey) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("open quoted message: %w", err)
	}
	var said struct {
		Text string `json:"text"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return "", fmt.Errorf("read quoted message: %w", err)
	}
	if runes := []rune(said.Text); len(runes) > maxQuote {
		return string(runes[:maxQuote]), nil
	}
	return said.Text, nil
}
