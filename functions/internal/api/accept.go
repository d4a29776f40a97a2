package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"wafleet/shared/message"
	"wafleet/shared/problem"
	"wafleet/shared/ratelimit"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// outgoing is a valid message that a caller wants to be sent.
type outgoing struct {
	company string
	to      string // address, see message.ParseRecipient
	content message.Content
	key     *string // Idempotency-Key

	asked     any                                                 // what a repeated call has to ask for; nil: the content
	complete  func(ctx context.Context, c *message.Content) error // fetches what takes long, when the message is to be queued; may be nil
	checks    []func() error                                      // what holds a first call back, and not a repeated one
	parks     bool                                                // waits for a session that needs its user
	clientRef *string
	lane      message.Lane
	dueAt     *time.Time    // nil: now
	ttl       time.Duration // 0: the installation's
}

func (o outgoing) hash() ([]byte, error) {
	if o.asked != nil {
		return message.Content{}.Hash(o.to, o.asked)
	}
	return o.content.Hash(o.to, nil)
}

// acceptCounted is accept, and counts what came of it.
func (a *API) acceptCounted(ctx context.Context, o outgoing) (acceptance, error) {
	accepted, err := a.accept(ctx, o)
	if err != nil {
		a.counts.accept(resultOf(err))
		return accepted, err
	}
	a.counts.accept(accepted.result())
	return accepted, nil
}

// acceptance is the answer to it.
type acceptance struct {
	messageID string
	replayed  bool
}

func (a acceptance) result() string {
	if a.replayed {
		return "replayed"
	}
	return "accepted"
}

// queueRetry is when a caller may try again after the queue failed.
const queueRetry = 2 * time.Second

// accept makes steps 1 and 2 of a send: the row under its final id, then the body into the queue of the company's shard.
// It returns nil once the message is durably queued.
//
// A call that is repeated with its Idempotency-Key finds its row. It spends nothing of the limit, is answered as the
// first one was, and, if the message never got out of the queue as far as the row knows, queues it again; the
// queue and the host fold what was queued twice. A call without a key whose queueing fails was promised nothing.
func (a *API) accept(ctx context.Context, o outgoing) (acceptance, error) {
	id := a.ids.New(o.company)
	if o.key != nil {
		id = a.ids.For(o.company, *o.key)
	}
	hash, err := o.hash()
	if err != nil {
		return acceptance{}, fmt.Errorf("accept: %w", err)
	}
	known, err := a.queries.PrepareSend(ctx, a.store.Pool(), db.PrepareSendParams{CompanyID: o.company, MessageID: id})
	if errors.Is(err, pgx.ErrNoRows) {
		return acceptance{}, problem.CompanyNotFound.With("companyId", o.company)
	}
	if err != nil {
		return acceptance{}, fmt.Errorf("prepare send: %w", err)
	}
	queued := sealedSend{company: o.company, shard: known.Shard, id: id, content: o.content, complete: o.complete}
	if known.MessageStatus != nil {
		return a.repeat(ctx, queued, hash, known.MessageHash, *known.MessageStatus, *known.MessageReason)
	}
	if err := a.spend(ctx, o.company, ratelimit.Limit{PerMinute: known.RatePerMinute, Burst: known.RateBurst}); err != nil {
		return acceptance{}, err
	}
	for _, check := range o.checks {
		if err := check(); err != nil {
			return acceptance{}, err
		}
	}
	if session.State(known.State).NeedsUser() && !o.parks {
		return acceptance{}, problem.NotConnected.With("phone", o.to).With("companyId", o.company)
	}
	body, err := a.seal(ctx, queued)
	if err != nil {
		return acceptance{}, err
	}
	err = a.store.Accept(ctx, a.queue, a.row(o, id, known.Shard, hash), body)
	if errors.Is(err, store.ErrMessageExists) { // a call with the same key was faster
		row, err := a.queries.GetOutgoing(ctx, a.store.Pool(), db.GetOutgoingParams{CompanyID: o.company, MessageID: id})
		if err != nil {
			return acceptance{}, fmt.Errorf("read accepted message: %w", err)
		}
		return a.repeat(ctx, queued, hash, row.BodyHash, row.Status, row.Reason)
	}
	return acceptance{messageID: id}, a.promise(ctx, queued, err)
}

// repeat answers a call whose message is already there.
func (a *API) repeat(ctx context.Context, send sealedSend, asked, accepted []byte, status, reason string) (acceptance, error) {
	if !bytes.Equal(asked, accepted) {
		return acceptance{}, problem.IdempotencyConflict.With("messageId", send.id)
	}
	answer := acceptance{messageID: send.id, replayed: true}
	if message.Status(status) == message.Accepted || (message.Status(status) == message.Failed && reason == message.ReasonNotEnqueued) {
		body, err := a.seal(ctx, send)
		if err != nil {
			return answer, err
		}
		return answer, a.promise(ctx, send, a.store.Enqueue(ctx, a.queue, send.shard, send.company, send.id, body))
	}
	return answer, nil
}

func (a *API) row(o outgoing, id string, shard int, hash []byte) db.AcceptMessageParams {
	ttl := cmp.Or(o.ttl, a.config.MessageTTL.Duration()).Seconds()
	return db.AcceptMessageParams{
		CompanyID: o.company, Phone: o.to, MessageID: id, Shard: shard, Kind: string(o.content.Kind), Chat: o.to,
		Lane: o.lane, ClientRef: o.clientRef, BodyHash: hash, DueAt: o.dueAt, Ttl: &ttl,
	}
}

// spend takes one call out of the company's bucket.
func (a *API) spend(ctx context.Context, companyID string, limit ratelimit.Limit) error {
	r := a.limiter.Allow(ctx, companyID, limit)
	reset := strconv.Itoa(int(r.ResetAfter.Round(time.Second).Seconds()))
	h := callOf(ctx).header
	h.Set("RateLimit-Policy", fmt.Sprintf(`"sends";q=%d;w=60`, limit.PerMinute))
	h.Set("RateLimit", fmt.Sprintf(`"sends";r=%d;t=%s`, r.Remaining, reset))
	if r.Allowed {
		return nil
	}
	return problem.RateLimited.RetryAfter(r.RetryAfter).
		Saying(fmt.Sprintf("The limit is %d sends a minute", limit.PerMinute)).
		With("companyId", companyID).With("limit", limit.PerMinute)
}

// sealedSend is a message on its way into the queue.
type sealedSend struct {
	company  string
	shard    int
	id       string
	content  message.Content
	complete func(ctx context.Context, c *message.Content) error
}

// seal makes the body that travels through the queue.
func (a *API) seal(ctx context.Context, s sealedSend) ([]byte, error) {
	if s.complete != nil {
		if err := s.complete(ctx, &s.content); err != nil {
			return nil, err
		}
	}
	text, err := s.content.Encode()
	if err != nil {
		return nil, fmt.Errorf("enqueue: %w", err)
	}
	sealed, err := a.vault.Seal(ctx, s.company, message.BodyContext(s.id), text)
	if err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	body, err := message.Envelope{CompanyID: s.company, MessageID: s.id, Body: sealed}.Encode()
	if err != nil {
		return nil, fmt.Errorf("enqueue: %w", err)
	}
	return body, nil
}

// promise turns the outcome of queueing a message into the answer: nil, once it is durably queued.
func (a *API) promise(ctx context.Context, s sealedSend, err error) error {
	switch {
	case errors.Is(err, store.ErrNotQueued):
		return problem.Connection.Saying("The message could not be queued").RetryAfter(queueRetry).Because(err)
	case errors.Is(err, store.ErrNotMarked):
		// The queue has it, so the answer is yes; the host that takes it from there fills this in.
		a.logger.WarnContext(ctx, "send.mark_enqueued", "error", err, "company_id", s.company, "message_id", s.id)
		return nil
	}
	return err
}
