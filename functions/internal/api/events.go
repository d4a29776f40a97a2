package api

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	contract "wafleet/shared/api"
	"wafleet/shared/problem"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

const (
	defaultEventsPage, maxEventsPage = 100, 500
	maxEventsWait                    = 20 // seconds
	// eventsLook is the pause between the first looks at the log while a call waits, and eventsRest that between later ones.
	// Behind a proxy nobody can LISTEN.
	eventsLook, eventsRest = 250 * time.Millisecond, time.Second
	// maxWaiters is how many calls wait for events at a time in a process, and maxWaitersEach those of one company.
	maxWaiters, maxWaitersEach = 512, 8
)

// ListEvents returns what happened after a cursor, and waits for something to happen if that is asked for.
func (a *API) ListEvents(ctx context.Context, r contract.ListEventsRequestObject) (contract.ListEventsResponseObject, error) {
	companyID, err := a.companyFor(ctx, r.Params.CompanyID)
	if err != nil {
		return nil, err
	}
	page, wait, err := eventsPage(companyID, r.Params)
	if err != nil {
		return nil, err
	}
	rows, err := a.awaitEvents(ctx, page, wait)
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 { // an empty log looks like that of a company that is not there
		if _, err := a.session(ctx, companyID); err != nil {
			return nil, err
		}
	}
	answer := contract.ListEvents200JSONResponse{
		Success: true, Data: make([]contract.LoggedEvent, 0, len(rows)), Next: strconv.FormatInt(page.After, 10),
	}
	for _, row := range rows {
		data, err := a.vault.Open(ctx, companyID, store.EventContext(row.ID), row.Data)
		if err != nil {
			return nil, fmt.Errorf("open event %d: %w", row.Seq, err)
		}
		answer.Data = append(answer.Data, contract.LoggedEvent{
			ID: webhook.EventID(row.ID), Seq: row.Seq, Type: contract.EventType(row.Type), Timestamp: row.CreatedAt.UTC(),
			CompanyID: row.CompanyID, Data: data,
		})
		answer.Next = strconv.FormatInt(row.Seq, 10)
	}
	return answer, nil
}

// awaitEvents reads a page; while it is empty it looks again until the wait is over or the process is about to end.
func (a *API) awaitEvents(ctx context.Context, page db.ListEventsParams, wait time.Duration) ([]db.Event, error) {
	rows, err := a.readEvents(ctx, page)
	if err != nil || len(rows) > 0 || wait == 0 {
		return rows, err
	}
	leave, ok := a.waiters.enter(page.CompanyID)
	if !ok {
		return nil, problem.RateLimited.Saying("Too many calls are waiting for events").RetryAfter(busyRetry)
	}
	defer leave()
	over := time.NewTimer(wait)
	defer over.Stop()
	for pause := eventsLook; ; pause = min(pause*5/4, eventsRest) {
		look := time.NewTimer(pause + rand.N(pause/10)) //nolint:gosec // jitter needs no secrecy
		last := false
		select {
		case <-look.C:
		case <-over.C:
			last = true
		case <-a.draining:
			last = true
		case <-ctx.Done():
			look.Stop()
			return nil, fmt.Errorf("wait for events: %w", ctx.Err())
		}
		look.Stop()
		if rows, err = a.readEvents(ctx, page); err != nil || len(rows) > 0 || last {
			return rows, err
		}
	}
}

func (a *API) readEvents(ctx context.Context, page db.ListEventsParams) ([]db.Event, error) {
	rows, err := a.queries.ListEvents(ctx, a.store.Pool(), page)
	if err != nil {
		return nil, fmt.Errorf("list events: %w", err)
	}
	return rows, nil
}

func eventsPage(companyID string, p contract.ListEventsParams) (db.ListEventsParams, time.Duration, error) {
	page, wait := db.ListEventsParams{CompanyID: companyID}, 0
	if p.After != nil && *p.After != "" {
		after, err := strconv.ParseInt(*p.After, 10, 64)
		if err != nil || after < 0 {
			return page, 0, invalid("after", "after must be the next of an earlier call")
		}
		page.After = after
	}
	var err error
	if page.PageSize, err = limited(p.Limit, defaultEventsPage, maxEventsPage); err != nil {
		return page, 0, err
	}
	if p.Wait != nil {
		if wait = *p.Wait; wait < 0 || wait > maxEventsWait {
			return page, 0, invalid("wait", fmt.Sprintf("wait must be between 0 and %d", maxEventsWait))
		}
	}
	return page, time.Duration(wait) * time.Second, nil
}
