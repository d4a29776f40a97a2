package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/phone"
	"wafleet/shared/problem"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

const (
	// maxContacts is how many numbers one call may ask about.
	maxContacts = 50
	// liveWait is how long a call waits for the owner, who waits for WhatsApp.
	liveWait = 8 * time.Second
	// connectPause is about how long a session needs to come back.
	connectPause = 10 * time.Second
)

// CheckContacts tells which numbers are on WhatsApp: as far as that is not known from before, by asking WhatsApp over the
// company's connection.
func (a *API) CheckContacts(ctx context.Context, r contract.CheckContactsRequestObject) (contract.CheckContactsResponseObject, error) {
	row, err := a.sessionFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	if n := len(r.Body.Phones); n == 0 || n > maxContacts {
		return nil, invalid("phones", fmt.Sprintf("phones must have 1 to %d numbers", maxContacts))
	}
	numbers := make([]string, len(r.Body.Phones))
	for i, given := range r.Body.Phones {
		if numbers[i], err = phone.Normalize(given); err != nil {
			return nil, invalid(fmt.Sprintf("phones[%d]", i), fmt.Sprintf("phones[%d]: %s", i, err))
		}
	}
	found, err := a.checkContacts(ctx, row, numbers, liveWait)
	if err != nil {
		return nil, err
	}
	answer := contract.CheckContacts200JSONResponse{Success: true, Data: make([]contract.ContactCheck, len(numbers))}
	for i, number := range numbers {
		f := found[number]
		answer.Data[i] = contract.ContactCheck{Phone: number, Exists: f.Exists, Jid: optional(f.JID), LID: optional(f.LID)}
	}
	return answer, nil
}

// checkContacts returns what is known of each number, asking the company's owner about those that nothing is known of.
func (a *API) checkContacts(ctx context.Context, row db.WhatsappSession, numbers []string, wait time.Duration) (map[string]rpc.ContactFound, error) {
	found := a.contacts.recall(ctx, row.CompanyID, numbers)
	var unknown []string
	for _, number := range numbers {
		if _, known := found[number]; !known {
			found[number] = rpc.ContactFound{Phone: number} // asked about once
			unknown = append(unknown, number)
		}
	}
	if len(unknown) == 0 {
		return found, nil
	}
	fresh, err := a.askContacts(ctx, row, unknown, wait)
	if err != nil {
		return nil, err
	}
	a.contacts.remember(ctx, row.CompanyID, fresh)
	for _, f := range fresh {
		found[f.Phone] = f
	}
	return found, nil
}

// askContacts asks WhatsApp, out of the company's budget.
func (a *API) askContacts(ctx context.Context, row db.WhatsappSession, numbers []string, wait time.Duration) ([]rpc.ContactFound, error) {
	if state := session.State(row.State); state != session.Connected {
		p := problem.Session.Saying("WhatsApp cannot be asked: the session is not connected").With("state", row.State)
		if state.NeedsUser() || state == session.Pairing {
			return nil, p.Final()
		}
		return nil, p.RetryAfter(connectPause)
	}
	owner, err := a.owner(ctx, row.CompanyID)
	if err != nil {
		return nil, err
	}
	if !owner.Live || owner.Term == nil {
		return nil, noOwner
	}
	if ok, after := a.contacts.budget.Take(ctx, row.CompanyID, len(numbers)); !ok {
		return nil, problem.RateLimited.Saying("The company has asked WhatsApp about too many numbers").RetryAfter(after)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	body, err := json.Marshal(rpc.ContactsAsked{Phones: numbers})
	if err != nil {
		return nil, fmt.Errorf("encode numbers: %w", err)
	}
	var found []rpc.ContactFound
	err = a.live.Ask(ctx, rpc.Owner{Shard: owner.Shard, Term: *owner.Term},
		rpc.Question{Kind: rpc.CheckContacts, CompanyID: row.CompanyID, Body: body}, &found)
	return found, unanswered(err)
}

// noOwner is what a live question is answered with while nobody looks after the company.
var noOwner = problem.Connection.Saying("No connection host looks after the company at the moment: try again shortly").RetryAfter(ownerPause)

// unanswered says in our words why a live question has no answer; all of it may pass.
func unanswered(err error) error {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, rpc.ErrNoAnswer):
		return problem.Timeout.Saying("The connection host of the company did not answer in time").RetryAfter(ownerPause).Because(err)
	case errors.Is(err, rpc.ErrBusy):
		return problem.Connection.Saying("Too many questions wait for an answer").RetryAfter(time.Second).Because(err)
	case errors.Is(err, rpc.ErrOffline):
		return problem.Session.Saying("WhatsApp cannot be asked: the session is not connected").RetryAfter(connectPause).Because(err)
	case errors.Is(err, rpc.ErrWhatsApp):
		return problem.Provider.Saying("WhatsApp did not say which numbers it knows").RetryAfter(connectPause).Because(err)
	}
	return problem.Connection.Saying("The connection host of the company could not be asked").RetryAfter(ownerPause).Because(err)
}
