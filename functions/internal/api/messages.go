package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

// GetMessage tells everything about one message. One of another company is not found, like one that never was.
func (a *API) GetMessage(ctx context.Context, r contract.GetMessageRequestObject) (contract.GetMessageResponseObject, error) {
	companyID, err := a.companyOfMessage(ctx, r.ID, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	row, err := a.queries.GetMessage(ctx, a.store.Pool(), db.GetMessageParams{CompanyID: companyID, MessageID: r.ID})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noMessage(r.ID)
	}
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	answer, err := a.messageWithContent(ctx, row)
	if err != nil {
		return nil, err
	}
	return contract.GetMessage200JSONResponse{Success: true, Data: answer}, nil
}

// messageWithContent is all that is shown of a message.
func (a *API) messageWithContent(ctx context.Context, row db.Message) (contract.Message, error) {
	m, err := messageAnswer(row)
	if err != nil {
		return m, err
	}
	m.Content, err = a.content(ctx, row)
	return m, err
}

// companyOfMessage spares an admin key from naming the company of a message: the id leads to it.
func (a *API) companyOfMessage(ctx context.Context, id string, named *string) (string, error) {
	if c := callOf(ctx); c.principal == nil || !c.principal.IsAdmin() || named != nil {
		return a.companyFor(ctx, named)
	}
	owners, err := a.queries.FindCompanyOfMessage(ctx, a.store.Pool(), id)
	if err != nil {
		return "", fmt.Errorf("find company of message: %w", err)
	}
	switch len(owners) {
	case 0:
		return "", noMessage(id)
	case 1:
		return a.companyFor(ctx, &owners[0])
	}
	return "", invalid("companyId", "companyId is required: several companies have a message with this id")
}

func noMessage(id string) error {
	return problem.NotFound.Saying("There is no such message").With("messageId", id)
}

// content opens what a message says; nil while that is still on its way through the queue.
func (a *API) content(ctx context.Context, row db.Message) (*contract.MessageContent, error) {
	if row.Body == nil {
		return nil, nil //nolint:nilnil // no content is a valid answer
	}
	text, err := a.vault.Open(ctx, row.CompanyID, message.BodyContext(row.MessageID), row.Body)
	if errors.Is(err, vault.ErrNoKey) {
		return nil, nil //nolint:nilnil // shredded together with the company's key
	}
	if err != nil {
		return nil, fmt.Errorf("open message: %w", err)
	}
	if row.Direction == "incoming" { // stored as it is told, see message.Said
		return new(contract.MessageContent(text)), nil
	}
	content, err := message.DecodeContent(text)
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	answer, err := json.Marshal(contentAnswer(content))
	if err != nil {
		return nil, fmt.Errorf("write message: %w", err)
	}
	return new(contract.MessageContent(answer)), nil
}

// contentAnswer is a content that was sent, in the contract's terms.
func contentAnswer(c message.Content) contract.SentContent {
	answer := contract.SentContent{Text: optional(c.Text), Mentions: c.Mentions}
	if m := c.Media; m != nil {
		answer.Media = &contract.MediaContent{
			MediaID: m.ID, MimeType: optional(m.MimeType), FileName: optional(m.FileName), Size: &m.Size, Sha256: optional(m.SHA256),
		}
	}
	if l := c.Location; l != nil {
		answer.Location = &contract.LocationContent{
			Latitude: l.Latitude, Longitude: l.Longitude, Name: optional(l.Name), Address: optional(l.Address),
		}
	}
	if v := c.Contact; v != nil {
		answer.Contact = &contract.ContactCard{Name: v.Name, Phone: v.Phone}
	}
	if p := c.Poll; p != nil {
		answer.Options, answer.MaxChoices = p.Options, &p.MaxChoices
	}
	if c.Target != nil {
		answer.MessageID = &c.Target.MessageID
	}
	if c.ReplyTo != nil {
		answer.ReplyTo = &c.ReplyTo.MessageID
	}
	return answer
}

func messageAnswer(row db.Message) (contract.Message, error) {
	m := contract.Message{
		MessageID: row.MessageID, CompanyID: row.CompanyID, Direction: contract.Direction(row.Direction), Type: row.Kind,
		Status: contract.MessageStatus(row.Status), Reason: row.Reason, ClientRef: row.ClientRef, WaMessageID: row.WaMessageID,
		CreatedAt: row.CreatedAt.UTC(), ExpiresAt: utc(row.ExpiresAt), SentAt: utc(row.SentAt), DeliveredAt: utc(row.DeliveredAt),
		ReadAt: utc(row.ReadAt), PlayedAt: utc(row.PlayedAt),
	}
	if m.Direction == contract.Incoming {
		m.From, m.Chat = sender(row), chat(row)
	} else {
		to := message.ContactOf(row.Phone)
		m.To = &contract.Contact{Phone: optional(to.Phone), LID: optional(to.LID), Group: optional(to.Group)}
		m.DueAt = dueAt(row)
	}
	if err := json.Unmarshal(row.Trace, &m.Trace); err != nil {
		return m, fmt.Errorf("read trace: %w", err)
	}
	return m, nil
}

// dueAt is when a message that waits is sent at the earliest, if that was put off.
func dueAt(row db.Message) *time.Time {
	status := message.Status(row.Status)
	if status != message.Accepted && status != message.Queued || !row.DueAt.After(row.CreatedAt) {
		return nil
	}
	return utc(&row.DueAt)
}

// sender is who wrote an incoming message: by number where that is known, by hidden id where that is the address.
func sender(row db.Message) *contract.Contact {
	c := contract.Contact{Phone: optional(row.Phone), Name: row.SenderName}
	if row.Sender != nil && *row.Sender != row.Phone {
		c.LID = row.Sender
	}
	return &c
}

// chat is where an incoming message was written: with its sender, or in a chat of many.
func chat(row db.Message) *contract.Contact {
	if strings.Contains(row.Chat, "@") {
		return &contract.Contact{Group: &row.Chat}
	}
	c := sender(row)
	c.Name = nil
	return c
}

// utc is how callers are told times; nil stays nil.
func utc(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	u := at.UTC()
	return &u
}

// optional is nil for an empty text, so that its key is left out.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
