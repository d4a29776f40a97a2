package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/phone"
	"wafleet/shared/ratelimit"
	"wafleet/shared/session"
	"wafleet/shared/store/db"
)

// maxNumber is the longest text that is looked at as a number.
const maxNumber = 64

// Diagnose looks at everything that a message has to pass, in the order in which it passes it.
func (a *API) Diagnose(ctx context.Context, r contract.DiagnoseRequestObject) (contract.DiagnoseResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Body.CompanyID)
	if err != nil {
		return nil, err
	}
	if r.Body.Phone == "" || len(r.Body.Phone) > maxNumber {
		return nil, invalid("phone", "phone must have 1 to 64 characters")
	}
	row, err := a.session(ctx, companyID)
	if err != nil {
		return nil, err
	}
	owner, err := a.owner(ctx, companyID)
	if err != nil {
		return nil, err
	}
	d := contract.Diagnosis{CompanyID: companyID, Phone: r.Body.Phone}
	number, phoneCheck := checkNumber(r.Body.Phone)
	var history []db.FindLastMessagesToRow
	if number != "" {
		d.Phone = number
		params := db.FindLastMessagesToParams{CompanyID: companyID, Chat: number}
		if history, err = a.queries.FindLastMessagesTo(ctx, a.store.Pool(), params); err != nil {
			return nil, fmt.Errorf("find last messages: %w", err)
		}
	}
	recipient := diagnoseRecipient(number, history)
	if number != "" && recipient.Verdict == unknownVerdict {
		recipient = a.diagnoseLive(ctx, row, number)
	}
	limits, err := a.diagnoseLimits(ctx, companyID)
	if err != nil {
		return nil, err
	}
	queue, err := a.diagnoseQueue(ctx, companyID)
	if err != nil {
		return nil, err
	}
	failures, err := a.diagnoseFailures(ctx, companyID)
	if err != nil {
		return nil, err
	}
	d.Checks = []contract.DiagnosisCheck{
		diagnoseSession(row), diagnoseOwner(owner), phoneCheck, recipient, limits, queue, failures,
		diagnoseLast(history, row, owner.Live),
	}
	d.Healthy, d.Summary = summarize(d.Checks)
	return contract.Diagnose200JSONResponse{Success: true, Data: d}, nil
}

// summarize says whether nothing failed, and what matters most: the first check that failed, or else the first warning.
func summarize(checks []contract.DiagnosisCheck) (healthy bool, text string) {
	for _, verdict := range []contract.DiagnosisCheckVerdict{failedVerdict, warningVerdict} {
		i := slices.IndexFunc(checks, func(c contract.DiagnosisCheck) bool { return c.Verdict == verdict })
		if i >= 0 {
			return verdict != failedVerdict, checks[i].Text
		}
	}
	return true, "Nothing was found that keeps messages to this number from being sent."
}

const (
	okVerdict      = contract.DiagnosisCheckVerdictOk
	warningVerdict = contract.DiagnosisCheckVerdictWarning
	failedVerdict  = contract.DiagnosisCheckVerdictFailed
	unknownVerdict = contract.DiagnosisCheckVerdictUnknown
)

func check(name contract.DiagnosisCheckName, verdict contract.DiagnosisCheckVerdict, text string, details map[string]any) contract.DiagnosisCheck {
	return contract.DiagnosisCheck{Name: name, Verdict: verdict, Text: text, Details: details}
}

func diagnoseSession(row db.WhatsappSession) contract.DiagnosisCheck {
	state := session.State(row.State)
	details := map[string]any{"state": row.State, "reason": row.Reason, "userAction": row.UserAction}
	text := session.Text(row.Reason)
	switch {
	case state == session.Connected:
		return check(contract.DiagnosisCheckNameSession, okVerdict, "The session is connected.", details)
	case state.NeedsUser():
		if text == "" {
			text = fmt.Sprintf("The session is %s: initialize it.", strings.ReplaceAll(row.State, "_", " "))
		}
		return check(contract.DiagnosisCheckNameSession, failedVerdict, text, details)
	case state == session.Pairing:
		return check(contract.DiagnosisCheckNameSession, failedVerdict, "The session waits for a phone to be linked.", details)
	case text == "":
		text = fmt.Sprintf("The session is %s; messages wait until it is connected.", row.State)
	}
	return check(contract.DiagnosisCheckNameSession, warningVerdict, text, details)
}

func diagnoseOwner(owner db.GetOwnerRow) contract.DiagnosisCheck {
	switch {
	case !owner.Live:
		return check(contract.DiagnosisCheckNameOwner, failedVerdict,
			"No connection host looks after the company at the moment; another one takes over within seconds if there is any.", nil)
	case owner.Draining:
		return check(contract.DiagnosisCheckNameOwner, warningVerdict, "The connection host is handing the company over to another one.", nil)
	}
	return check(contract.DiagnosisCheckNameOwner, okVerdict, "A connection host looks after the company.", nil)
}

// checkNumber returns the digits of a number, or none.
func checkNumber(given string) (string, contract.DiagnosisCheck) {
	digits, err := phone.Normalize(given)
	if err != nil {
		return "", check(contract.DiagnosisCheckNamePhone, failedVerdict,
			"The phone number is not valid: it has to have 10 to 15 digits, with the country's code.", nil)
	}
	return digits, check(contract.DiagnosisCheckNamePhone, okVerdict, "The phone number is valid.", nil)
}

// diagnoseRecipient says what earlier messages tell of the recipient.
func diagnoseRecipient(number string, history []db.FindLastMessagesToRow) contract.DiagnosisCheck {
	const name = contract.DiagnosisCheckNameRecipient
	if number == "" {
		return check(name, unknownVerdict, "Not checked: the phone number is not valid.", nil)
	}
	for _, m := range history {
		switch message.Status(m.Status) {
		case message.Delivered, message.Read, message.Played:
			return check(name, okVerdict, "A message to this number has been delivered before.", nil)
		case message.Failed:
			if m.Reason == "recipient_not_on_whatsapp" {
				return check(name, failedVerdict, "WhatsApp said that this number is not on WhatsApp.", nil)
			}
		default:
		}
	}
	return check(name, unknownVerdict, "No message to this number has been delivered yet, so it is not known whether it is on WhatsApp.", nil)
}

// diagnoseWait is how long a diagnosis waits for WhatsApp's word on the recipient.
const diagnoseWait = 3 * time.Second

// diagnoseLive asks WhatsApp itself about the recipient. That it cannot be asked says nothing about the other checks.
func (a *API) diagnoseLive(ctx context.Context, row db.WhatsappSession, number string) contract.DiagnosisCheck {
	const name = contract.DiagnosisCheckNameRecipient
	found, err := a.checkContacts(ctx, row, []string{number}, diagnoseWait)
	switch {
	case err != nil:
		return check(name, unknownVerdict, "No message to this number has been delivered yet, and WhatsApp could not be asked about it: "+
			classify(err).Message+".", nil)
	case found[number].Exists:
		return check(name, okVerdict, "WhatsApp says that this number is on WhatsApp.", nil)
	}
	return check(name, failedVerdict, "WhatsApp said that this number is not on WhatsApp.", nil)
}

func (a *API) diagnoseLimits(ctx context.Context, companyID string) (contract.DiagnosisCheck, error) {
	const name = contract.DiagnosisCheckNameLimits
	company, err := a.queries.GetCompany(ctx, a.store.Pool(), companyID)
	if err != nil {
		return contract.DiagnosisCheck{}, companyError("read company", companyID, err)
	}
	details := map[string]any{"perMinute": company.RatePerMinute, "burst": company.RateBurst}
	left, err := a.limiter.Look(ctx, companyID, ratelimit.Limit{PerMinute: company.RatePerMinute, Burst: company.RateBurst})
	if err != nil {
		//nolint:nilerr // that Redis is gone is what was found
		return check(name, unknownVerdict, "What is left of the company's limit is not known at the moment; sends are limited all the same.", details), nil
	}
	details["remaining"] = left.Remaining
	if !left.Allowed {
		return check(name, failedVerdict, fmt.Sprintf("The company has used up its limit of %d sends a minute; the next one is free in %d s.",
			company.RatePerMinute, max(wholeSeconds(left.RetryAfter), 1)), details), nil
	}
	return check(name, okVerdict, fmt.Sprintf("The company may send %d messages at once.", left.Remaining), details), nil
}

// longWait is how long messages wait before that deserves a warning.
const longWait = time.Minute

func (a *API) diagnoseQueue(ctx context.Context, companyID string) (contract.DiagnosisCheck, error) {
	const name = contract.DiagnosisCheckNameQueue
	w, err := a.queries.MeasureWaiting(ctx, a.store.Pool(), companyID)
	if err != nil {
		return contract.DiagnosisCheck{}, fmt.Errorf("count waiting messages: %w", err)
	}
	details := map[string]any{"waiting": w.Waiting, "oldestSeconds": int64(w.OldestSeconds)}
	switch {
	case w.Waiting == 0:
		return check(name, okVerdict, "No message is waiting.", details), nil
	case w.OldestSeconds > longWait.Seconds():
		return check(name, warningVerdict, fmt.Sprintf("%d messages are waiting, the first of them for %d s.", w.Waiting, int64(w.OldestSeconds)), details), nil
	}
	return check(name, okVerdict, fmt.Sprintf("%d messages are on their way.", w.Waiting), details), nil
}

func (a *API) diagnoseFailures(ctx context.Context, companyID string) (contract.DiagnosisCheck, error) {
	const name = contract.DiagnosisCheckNameErrors
	rows, err := a.queries.CountFailures(ctx, a.store.Pool(), companyID)
	if err != nil {
		return contract.DiagnosisCheck{}, fmt.Errorf("count failures: %w", err)
	}
	if len(rows) == 0 {
		return check(name, okVerdict, "No message failed in the last day.", nil), nil
	}
	details, parts := map[string]any{}, make([]string, 0, len(rows))
	for _, r := range rows {
		reason := r.Reason
		if reason == "" {
			reason = "expired"
		}
		details[reason] = r.Messages
		parts = append(parts, fmt.Sprintf("%d × %s", r.Messages, reason))
	}
	return check(name, warningVerdict, "Messages failed in the last day: "+strings.Join(parts, ", ")+".", details), nil
}

// diagnoseLast says what became of the last message to the number, and why it was not sent.
func diagnoseLast(history []db.FindLastMessagesToRow, row db.WhatsappSession, owned bool) contract.DiagnosisCheck {
	const name = contract.DiagnosisCheckNameLastMessage
	if len(history) == 0 {
		return check(name, unknownVerdict, "There is no message to this number among the company's latest.", nil)
	}
	last := history[0]
	details := map[string]any{"messageId": last.MessageID, "status": last.Status, "reason": last.Reason}
	switch status := message.Status(last.Status); status {
	case message.Sent, message.Delivered, message.Read, message.Played:
		return check(name, okVerdict, "The last message to this number was "+last.Status+".", details)
	case message.Failed:
		return check(name, failedVerdict, "The last message to this number failed: "+whyFailed(last.Reason)+".", details)
	case message.Expired:
		return check(name, failedVerdict, "The last message to this number was given up because it could not be sent in time.", details)
	case message.Canceled:
		return check(name, warningVerdict, "The last message to this number was withdrawn.", details)
	case message.Unconfirmed:
		return check(name, warningVerdict, "The last message to this number went out, but WhatsApp has not confirmed it yet; it is sent again under the same id.", details)
	default:
		return check(name, warningVerdict, "The last message to this number was not sent yet: "+whyWaiting(last, row, owned)+".", details)
	}
}

func whyFailed(reason string) string {
	texts := map[string]string{
		"recipient_not_on_whatsapp": "the number is not on WhatsApp",
		"account_reachout_locked":   "WhatsApp does not let this account write to people who do not know it",
		"contact_token_missing":     "WhatsApp wants the contact to write first",
		"unconfirmed":               "WhatsApp never confirmed it; it may have arrived",
		"unreadable":                "its content could not be read",
		message.ReasonNotEnqueued:   "it never reached the queue; send it again",
	}
	if text, ok := texts[reason]; ok {
		return text
	}
	return "reason " + reason
}

func whyWaiting(last db.FindLastMessagesToRow, row db.WhatsappSession, owned bool) string {
	switch {
	case !owned:
		return "no connection host looks after the company"
	case session.State(row.State) != session.Connected:
		return "the session is not connected"
	case message.Status(last.Status) == message.Accepted && last.EnqueuedAt == nil:
		return "it was recorded, but the queue has not confirmed it"
	case message.Status(last.Status) == message.Accepted:
		return "it is on its way to the connection host"
	case last.HeldBack && last.Reason != "":
		return "it is held back: " + last.Reason
	case last.HeldBack:
		return "it is not due yet"
	case last.Attempt > 0:
		return "it is being tried again"
	}
	return "it waits for its turn"
}
