package tenants

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/remote"
)

const (
	// Most is how many company ids and phone numbers there are.
	Most = 10_000
	// pairings is how many sessions are paired at a time.
	pairings = 16
	// qrWithin is how long a session may take to show its QR code. The first one is shown for a minute; when it gets lost
	// on its way to the board, the second one follows.
	qrWithin = 90 * time.Second
	qrPoll   = 50 * time.Millisecond
)

// Company is the id, the number, and the number of the one customer of a company.
func Company(n int) (companyID, phone, customer string) {
	return fmt.Sprintf("bench-%05d", n), strconv.Itoa(79010000000 + n), strconv.Itoa(79020000000 + n)
}

// Pairs are the first so many companies with their customers.
func Pairs(count int) []load.Pair {
	pairs := make([]load.Pair, count)
	for n := range pairs {
		id, _, customer := Company(n)
		pairs[n] = load.Pair{CompanyID: id, Phone: customer}
	}
	return pairs
}

// Link makes the first so many companies with their phones and pairs them, several at a time. The last of them may not
// have logged in yet when it returns.
func Link(ctx context.Context, api *remote.API, simulator *remote.Simulator, count int) error {
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(pairings)
	for n := range count {
		work.Go(func() error { return link(ctx, api, simulator, n) })
	}
	if err := work.Wait(); err != nil {
		return fmt.Errorf("pair sessions: %w", err)
	}
	return nil
}

func link(ctx context.Context, api *remote.API, simulator *remote.Simulator, n int) error {
	id, phone, customer := Company(n)
	for _, number := range []string{phone, customer} {
		if err := simulator.AddPhone(ctx, number); err != nil {
			return err
		}
	}
	if err := api.CreateCompany(ctx, id); err != nil {
		return err
	}
	if err := api.Initialize(ctx, id); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, qrWithin, fmt.Errorf("no QR code of %s within %s", id, qrWithin))
	defer cancel()
	for {
		qr, err := api.QR(ctx, id)
		if err != nil {
			return err
		}
		if qr != "" {
			return simulator.Scan(ctx, phone, qr)
		}
		if err := load.Pause(ctx, qrPoll); err != nil {
			return fmt.Errorf("wait for the QR code of %s: %w", id, err)
		}
	}
}
