package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	contract "wafleet/shared/api"
	"wafleet/shared/message"
	"wafleet/shared/phone"
	"wafleet/shared/store/db"
)

const (
	defaultHistoryPage, maxHistoryPage = 50, 200
	// historyLook bounds the messages that one call looks through for those that a filter asks for.
	historyLook = 2000
)

// chatAddress is how WhatsApp writes chats that are not known by a phone number.
var chatAddress = regexp.MustCompile(`^[0-9]{1,30}(-[0-9]{1,20})?@(g\.us|broadcast|newsletter|lid)$|^status@broadcast$`)

// history is what a call asks for.
type history struct {
	companyID         string
	chats             []string // nil: all
	direction, status string
	below             int64 // the id that the page begins under
	page              int
}

// ListMessages returns a page of a company's messages, newest first.
func (a *API) ListMessages(ctx context.Context, r contract.ListMessagesRequestObject) (contract.ListMessagesResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	h, err := historyOf(companyID, r.Params)
	if err != nil {
		return nil, err
	}
	if r.Params.Phone != nil {
		if h.chats, err = a.chatsOf(ctx, companyID, *r.Params.Phone); err != nil {
			return nil, err
		}
	}
	rows, next, err := a.history(ctx, h)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 { // an empty history looks like that of a company that is not there
		if _, err := a.session(ctx, companyID); err != nil {
			return nil, err
		}
	}
	answer := contract.ListMessages200JSONResponse{Success: true, Data: make([]contract.Message, 0, len(rows)), Next: next}
	for _, row := range rows {
		m, err := a.messageWithContent(ctx, row)
		if err != nil {
			return nil, err
		}
		answer.Data = append(answer.Data, m)
	}
	return answer, nil
}

// historyOf checks what a call asks for.
func historyOf(companyID string, p contract.ListMessagesParams) (history, error) {
	h := history{companyID: companyID, below: math.MaxInt64, page: defaultHistoryPage}
	if p.After != nil && *p.After != "" {
		below, err := strconv.ParseInt(*p.After, 10, 64)
		if err != nil || below < 0 {
			return h, invalid("after", "after must be the next of an earlier call")
		}
		h.below = below
	}
	var err error
	if h.page, err = limited(p.Limit, h.page, maxHistoryPage); err != nil {
		return h, err
	}
	if p.Direction != nil {
		if !p.Direction.Valid() {
			return h, invalid("direction", "direction must be incoming or outgoing")
		}
		h.direction = string(*p.Direction)
	}
	if p.Status != nil {
		if !p.Status.Valid() {
			return h, invalid("status", "status must be one that a message can have")
		}
		h.status = string(*p.Status)
	}
	return h, nil
}

// chatsOf is every address that a chat is known by: messages to somebody go by the number, those from there by the LID.
func (a *API) chatsOf(ctx context.Context, companyID, named string) ([]string, error) {
	if chatAddress.MatchString(named) {
		digits, lid := strings.CutSuffix(named, "@lid")
		if !lid {
			return []string{named}, nil
		}
		return a.addresses(ctx, companyID, digits)
	}
	digits, err := phone.Normalize(named)
	if err != nil {
		return nil, invalid("phone", "phone must be a phone number, a LID (…@lid) or a group (…@g.us)")
	}
	return a.addresses(ctx, companyID, digits)
}

func (a *API) addresses(ctx context.Context, companyID, address string) ([]string, error) {
	others, err := a.queries.ListOtherAddresses(ctx, a.store.Pool(), db.ListOtherAddressesParams{CompanyID: companyID, Address: address})
	if err != nil {
		return nil, fmt.Errorf("list other addresses: %w", err)
	}
	others = append(others, address)
	for _, other := range others { // what was sent to a LID goes by it with its server
		others = append(others, message.LIDAddress(other))
	}
	return others, nil
}

// history reads a page, and where the next one begins: nil after the oldest message.
func (a *API) history(ctx context.Context, h history) (rows []db.Message, next *string, err error) {
	look := h.page
	if h.direction != "" || h.status != "" {
		look = historyLook
	}
	if rows, err = a.page(ctx, h, look); err != nil {
		return nil, nil, fmt.Errorf("list messages: %w", err)
	}
	if len(rows) == h.page {
		return rows, cursor(rows[len(rows)-1].ID), nil
	}
	if look == h.page {
		return rows, nil, nil
	}
	end, err := a.endOf(ctx, h, look)
	if errors.Is(err, pgx.ErrNoRows) {
		return rows, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("find end of page: %w", err)
	}
	return rows, cursor(end), nil
}

func (a *API) page(ctx context.Context, h history, look int) (page []db.Message, err error) {
	if h.chats == nil {
		rows, err := a.queries.ListHistory(ctx, a.store.Pool(), db.ListHistoryParams{
			CompanyID: h.companyID, Below: h.below, Most: look, Direction: h.direction, Status: h.status, PageSize: h.page,
		})
		for _, row := range rows {
			page = append(page, row.Message)
		}
		return page, err
	}
	rows, err := a.queries.ListChat(ctx, a.store.Pool(), db.ListChatParams{
		Chats: h.chats, CompanyID: h.companyID, Below: h.below, Most: look, Direction: h.direction, Status: h.status, PageSize: h.page,
	})
	for _, row := range rows {
		page = append(page, row.Message)
	}
	return page, err
}

func (a *API) endOf(ctx context.Context, h history, look int) (int64, error) {
	if h.chats == nil {
		return a.queries.EndOfHistory(ctx, a.store.Pool(), db.EndOfHistoryParams{CompanyID: h.companyID, Below: h.below, Skip: look - 1})
	}
	return a.queries.EndOfChat(ctx, a.store.Pool(), db.EndOfChatParams{
		Chats: h.chats, CompanyID: h.companyID, Below: h.below, Most: look, Skip: look - 1,
	})
}

func cursor(id int64) *string { return new(strconv.FormatInt(id, 10)) }
