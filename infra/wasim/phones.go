package wasim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// AddPhone makes a WhatsApp account with its phone. The error is ErrInvalid for a number that is none and ErrConflict if
// the phone exists.
func (s *Server) AddPhone(ctx context.Context, added NewPhone) (Phone, error) {
	var sh shipment
	account, err := s.roster.Add(&sh.batch, roster.Profile{
		Number: added.Phone, Name: cmp.Or(added.Name, added.Phone),
		Online: added.Online == nil || *added.Online, AutoDelivery: added.AutoDelivery == nil || *added.AutoDelivery,
	})
	switch {
	case errors.Is(err, roster.ErrExists):
		return Phone{}, fmt.Errorf("%w: %w", ErrConflict, err)
	case errors.Is(err, roster.ErrNumber):
		return Phone{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	case err != nil:
		return Phone{}, fmt.Errorf("add phone: %w", err)
	}
	if err := s.commit(&sh, nil); err != nil {
		return Phone{}, err
	}
	s.switchOn(account)
	s.log.InfoContext(ctx, "phone added", "lid", account.LID)
	return s.describe(account), nil
}

// Phones are all accounts, by their numbers.
func (s *Server) Phones() []Phone {
	accounts := s.roster.Accounts()
	phones := make([]Phone, len(accounts))
	for i, account := range accounts {
		phones[i] = s.describe(account)
	}
	return phones
}

// Phone is the account of a number, or ErrNotFound.
func (s *Server) Phone(number string) (Phone, error) {
	account, err := s.account(number)
	if err != nil {
		return Phone{}, err
	}
	return s.describe(account), nil
}

// SetOnline switches a phone on or off. What is sent to a phone that is off waits for it.
func (s *Server) SetOnline(_ context.Context, number string, online bool) error {
	account, err := s.account(number)
	if err != nil {
		return err
	}
	pending, err := account.SetOnline(s.ledger, online)
	if err == nil {
		err = pending.Wait()
	}
	if err != nil {
		return fmt.Errorf("switch phone: %w", err)
	}
	if outlet := account.Box.Attached(); outlet != nil {
		outlet.Wake()
	}
	return nil
}

// Messages is what a phone got, decrypted, oldest first. It keeps the last 100,000.
func (s *Server) Messages(number string) ([]Message, error) {
	account, err := s.account(number)
	if err != nil {
		return nil, err
	}
	return account.Phone.Messages(), nil
}

// AwaitMessage waits until a phone has a message that matches and returns the first of them. The error is that of the
// context.
func (s *Server) AwaitMessage(ctx context.Context, number string, match func(Message) bool) (Message, error) {
	account, err := s.account(number)
	if err != nil {
		return Message{}, err
	}
	seen := 0
	for {
		rows, changed := account.Phone.Watch(seen)
		for _, row := range rows {
			if match(row) {
				return row, nil
			}
		}
		seen += len(rows)
		select {
		case <-changed:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("await message: %w", context.Cause(ctx))
		}
	}
}

// SendText lets a phone write a text and returns the id of the message.
func (s *Server) SendText(ctx context.Context, from, to, text string) (id string, err error) {
	return s.SendMessage(ctx, from, Outgoing{To: to, Content: Content{Type: content.Text, Text: text}})
}

// SendReceipts lets a phone tell the writers of messages that it read or played them. The kind is "read" or "played".
// The error is ErrNotFound if the phone did not get one of the messages; then nothing is sent.
func (s *Server) SendReceipts(_ context.Context, number, kind string, ids ...string) error {
	account, err := s.account(number)
	if err != nil {
		return err
	}
	if (kind != "read" && kind != "played") || len(ids) == 0 {
		return fmt.Errorf("%w: a receipt is read or played and has ids", ErrInvalid)
	}
	bySender := map[string][]string{}
	for _, id := range ids {
		row, ok := account.Phone.Find(id)
		if !ok {
			return fmt.Errorf("%w: the phone has no message %s", ErrNotFound, id)
		}
		bySender[row.From] = append(bySender[row.From], id)
	}
	var sh shipment
	for from, ids := range bySender {
		sender, err := s.account(from)
		if err != nil {
			return err
		}
		node := stanza.New("receipt", stanza.Attrs{"id": ids[0], "type": kind})
		if len(ids) > 1 {
			items := make([]stanza.Node, 0, len(ids)-1)
			for _, id := range ids[1:] {
				items = append(items, stanza.New("item", stanza.Attrs{"id": id}))
			}
			node.Content = []stanza.Node{stanza.New("list", nil, items...)}
		}
		s.relayReceipt(&sh, originOfPhone(account, false), sender, 0, node)
	}
	return s.commit(&sh, nil)
}

// Receipts is what a phone was told about messages it wrote, oldest first. It keeps the last 1,000, in memory.
func (s *Server) Receipts(number string) ([]Receipt, error) {
	account, err := s.account(number)
	if err != nil {
		return nil, err
	}
	return s.receipts.of(account.Number), nil
}

func (s *Server) account(number string) (*roster.Account, error) {
	account, err := s.roster.Account(number)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return account, nil
}

func (s *Server) describe(account *roster.Account) Phone {
	phone := Phone{
		Phone: account.Number, Name: account.Name, LID: account.LID, Online: account.Online(),
		AutoDelivery: account.AutoDelivery, Companions: []Companion{}, Waiting: account.Box.Len(),
	}
	for _, device := range account.Devices() {
		phone.Companions = append(phone.Companions, companion(device))
	}
	return phone
}

func companion(device *roster.Device) Companion {
	return Companion{
		Device: device.ID, JID: device.JID().String(), LID: device.LIDJID().String(), Platform: device.Platform,
		LinkedAt: device.LinkedAt, Connected: device.Box.Attached() != nil, PreKeys: device.Keys.Left(),
		Waiting: device.Box.Len(),
	}
}

// inHand is a phone that takes what comes into its mailbox. At most one goroutine works for it, and none while it has
// nothing to do.
type inHand struct {
	server  *Server
	account *roster.Account
	state   atomic.Int32
}

// States of inHand.
const (
	handIdle int32 = iota
	handBusy
	handBusyAgain // something came while it was busy
)

// switchOn lets a phone take its mail, as far as it is online.
func (s *Server) switchOn(account *roster.Account) {
	hand := &inHand{server: s, account: account}
	account.Box.Attach(hand)
	hand.Wake()
}

// Wake lets the phone look into its mailbox.
func (h *inHand) Wake() {
	for {
		switch h.state.Load() {
		case handIdle:
			if h.state.CompareAndSwap(handIdle, handBusy) {
				if !h.server.tasks.start(h.work) {
					h.state.Store(handIdle)
				}
				return
			}
		case handBusy:
			if h.state.CompareAndSwap(handBusy, handBusyAgain) {
				return
			}
		default:
			return
		}
	}
}

func (h *inHand) work() {
	for {
		h.state.Store(handBusy)
		h.server.takeMail(h.account)
		if h.state.CompareAndSwap(handBusy, handIdle) {
			return
		}
	}
}

// receivedAt is the time in the form of messages and receipts.
func receivedAt() int64 { return time.Now().UnixMilli() }
