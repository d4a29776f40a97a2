package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/remote"
	"wafleet/infra/internal/tenants"
)

const (
	// warmUp is the time with traffic before a fault.
	warmUp = 3 * time.Second
	// grace is how long what was accepted may take to arrive after the traffic has ended.
	grace      = 90 * time.Second
	gracePause = 500 * time.Millisecond
)

// traffic is what was written during a scenario, in both directions.
type traffic struct {
	began    time.Time
	sent     []load.Sent
	incoming []string // ids of what customers wrote
}

// run writes for a time: all companies in turn to their customers, and these to them.
func (f *fleet) run(ctx context.Context, rate float64, lasting time.Duration) (*traffic, error) {
	t := &traffic{began: time.Now()}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() (err error) {
		_, t.sent, err = load.Open(ctx, f.rig.API(), tenants.Pairs(f.companies), rate, 0, lasting)
		return err
	})
	work.Go(func() (err error) {
		t.incoming, err = f.answer(ctx, rate, lasting)
		return err
	})
	if err := work.Wait(); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return t, nil
}

// answer lets customers write to their companies.
func (f *fleet) answer(ctx context.Context, rate float64, lasting time.Duration) ([]string, error) {
	var (
		mu  sync.Mutex // guards ids
		ids []string
	)
	work, ctx := errgroup.WithContext(ctx)
	interval, start := time.Duration(float64(time.Second)/rate), time.Now()
	for n := range int(lasting / interval) {
		if err := load.Pause(ctx, time.Until(start.Add(time.Duration(n)*interval))); err != nil {
			break // the group says why
		}
		_, company, customer := tenants.Company(n % f.companies)
		work.Go(func() error {
			id, err := f.rig.Simulator().Write(ctx, customer, company, fmt.Sprintf("Question %06d", n))
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, id)
			return nil
		})
	}
	err := work.Wait()
	return ids, err //nolint:wrapcheck // wrapped by the caller
}

// verdict is what became of the traffic.
type verdict struct {
	accepted, refused int
	lost              int // accepted and not on the phone
	unfinished        int // accepted and in no final state
	copies            int // arrived again under the same id: a phone shows them once
	duplicates        int // arrived under two ids: a phone shows both
	resends           int
	outOfOrder        int
	overtaken         int // the same of messages that were tried more than once, which may be overtaken
	incoming          int
	lostIncoming      int // not in the company's history
	twiceIncoming     int // there twice, or told twice
}

// judge waits until everything has come to an end, or the grace is over.
func (f *fleet) judge(ctx context.Context, t *traffic, j *journal) (v verdict, err error) {
	arrived, err := load.Collect(ctx, f.rig.Simulator(), t.sent, grace)
	if err != nil {
		return v, err
	}
	outcome := load.Judge(t.sent, arrived)
	v.accepted, v.refused = outcome.Calls-outcome.Refused, outcome.Refused
	v.lost, v.copies = outcome.Lost, outcome.Duplicates
	if outcome.FirstError != nil {
		f.say("%d calls were refused, the first one: %v", outcome.Refused, outcome.FirstError)
	}
	if v.duplicates, err = f.shownTwice(ctx, t); err != nil {
		return v, err
	}
	if err := f.settle(ctx, t, &v); err != nil {
		return v, err
	}
	if err := j.catchUp(ctx); err != nil {
		return v, err
	}
	retried, err := f.rig.Retried(ctx, t.began)
	if err != nil {
		return v, err
	}
	first := slices.DeleteFunc(slices.Clone(t.sent), func(s load.Sent) bool { return retried[s.ID] })
	v.outOfOrder = outOfOrder(first, j.firstFrame)
	v.overtaken = outOfOrder(t.sent, j.firstFrame) - v.outOfOrder
	return v, nil
}

// settle waits until the tables agree with the phones.
func (f *fleet) settle(ctx context.Context, t *traffic, v *verdict) (err error) {
	for deadline := time.Now().Add(grace); ; {
		if v.unfinished, err = f.rig.Unfinished(ctx, t.began); err != nil {
			return err
		}
		received, err := f.rig.Received(ctx, t.incoming)
		if err != nil {
			return err
		}
		untold, err := f.rig.Untold(ctx)
		if err != nil {
			return err
		}
		v.incoming, v.lostIncoming, v.twiceIncoming = len(t.incoming), max(untold, 0), max(-untold, 0)
		for _, id := range t.incoming {
			v.lostIncoming += 1 - min(received[id], 1)
			v.twiceIncoming += max(received[id]-1, 0)
		}
		if v.unfinished == 0 && v.lostIncoming == 0 || time.Now().After(deadline) {
			break
		}
		if err := load.Pause(ctx, gracePause); err != nil {
			return fmt.Errorf("wait for the end of everything: %w", err)
		}
	}
	v.resends, err = f.rig.Resends(ctx, t.began)
	return err
}

// shownTwice counts the messages that the phones show more than once: the same text under different ids.
func (f *fleet) shownTwice(ctx context.Context, t *traffic) (twice int, err error) {
	phones := make(map[string]bool)
	for _, s := range t.sent {
		phones[s.Pair.Phone] = true
	}
	for phone := range phones {
		messages, err := f.rig.Simulator().Messages(ctx, phone)
		if err != nil {
			return 0, fmt.Errorf("read phone: %w", err)
		}
		twice += shownTwice(messages, t.began)
	}
	return twice, nil
}

// shownTwice counts those of a phone since a time.
func shownTwice(messages []remote.Message, since time.Time) (twice int) {
	seen := make(map[string]bool)
	for _, m := range messages {
		if m.Duplicate || m.Arrived().Before(since) {
			continue
		}
		if seen[m.Text] {
			twice++
		}
		seen[m.Text] = true
	}
	return twice
}

// outOfOrder counts the messages whose first frame left before that of a message of the same chat which was accepted
// before they were even offered. frame is the place of a message's first frame, 0 for none.
func outOfOrder(sent []load.Sent, frame func(messageID string) uint64) (count int) {
	chats := make(map[load.Pair][]load.Sent)
	for _, s := range sent {
		if s.ID != "" && frame(s.ID) != 0 {
			chats[s.Pair] = append(chats[s.Pair], s)
		}
	}
	for _, chat := range chats {
		slices.SortFunc(chat, func(a, b load.Sent) int { return int(frame(a.ID)) - int(frame(b.ID)) }) //nolint:gosec // far below the limit
		for i, later := range chat {
			// Whoever was answered before this one was due has to stand before it.
			if slices.ContainsFunc(chat[i+1:], func(s load.Sent) bool { return s.Answered.Before(later.Due) }) {
				count++
			}
		}
	}
	return count
}
