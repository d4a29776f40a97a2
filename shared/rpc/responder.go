package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxAnswering bounds the questions that a host works on at a time; what comes beyond is dropped, and its caller asks again.
const maxAnswering = 32

// Answerer answers a question for a company that the host owns. The context ends with the question.
type Answerer func(ctx context.Context, owner Owner, q Question) (any, error)

// Responder answers the questions about the shards that a host holds.
type Responder struct {
	redis  redis.UniversalClient
	answer Answerer
	holds  func(ctx context.Context, owner Owner) error
	logger *slog.Logger
	slots  chan struct{}

	mu     sync.Mutex
	sub    *redis.PubSub
	owners map[string]Owner // by channel
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// NewResponder returns a responder that is not started. holds says whether the lease of a term is held, with an error if it
// is not: it is asked before a question is acted upon and before it is answered.
func NewResponder(client redis.UniversalClient, logger *slog.Logger, holds func(ctx context.Context, owner Owner) error, answer Answerer) *Responder {
	return &Responder{
		redis: client, answer: answer, holds: holds, logger: logger,
		slots: make(chan struct{}, maxAnswering), owners: make(map[string]Owner),
	}
}

// Start begins to listen. The subscription renews itself when Redis comes back; questions in between are lost.
func (r *Responder) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cancel, r.sub = cancel, r.redis.Subscribe(ctx)
	questions := r.sub.Channel()
	r.wg.Go(func() {
		for m := range questions {
			r.take(ctx, m.Channel, m.Payload)
		}
	})
	return nil
}

// Stop ends the subscription, and the questions that are being worked on. It may be called before Start, and twice.
func (r *Responder) Stop(ctx context.Context) error {
	r.mu.Lock()
	sub := r.sub
	r.sub = nil
	r.mu.Unlock()
	if sub == nil {
		return nil
	}
	if err := sub.Close(); err != nil {
		r.logger.WarnContext(ctx, "close subscription to questions", "error", err)
	}
	r.cancel()
	r.wg.Wait()
	return nil
}

// Hold begins to answer for a term.
func (r *Responder) Hold(ctx context.Context, owner Owner) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owners[owner.channel()] = owner
	if r.sub == nil {
		return
	}
	if err := r.sub.Subscribe(ctx, owner.channel()); err != nil { // it is made up for when Redis is back
		r.logger.WarnContext(ctx, "subscribe to questions", "shard", owner.Shard, "error", err)
	}
}

// Drop ends that for a shard.
func (r *Responder) Drop(ctx context.Context, shard int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for channel, owner := range r.owners {
		if owner.Shard != shard {
			continue
		}
		delete(r.owners, channel)
		if r.sub == nil {
			continue
		}
		if err := r.sub.Unsubscribe(ctx, channel); err != nil {
			r.logger.WarnContext(ctx, "unsubscribe from questions", "shard", shard, "error", err)
		}
	}
}

// take works on a question, unless the host has too many of them or holds its term no more.
func (r *Responder) take(ctx context.Context, channel, id string) {
	r.mu.Lock()
	owner, held := r.owners[channel]
	r.mu.Unlock()
	if !held {
		return
	}
	select {
	case r.slots <- struct{}{}:
	default:
		r.logger.WarnContext(ctx, "too many questions at a time", "shard", owner.Shard)
		return
	}
	r.wg.Go(func() {
		defer func() { <-r.slots }()
		if err := r.respond(ctx, owner, id); err != nil && ctx.Err() == nil {
			r.logger.WarnContext(ctx, "a question stays without an answer", "shard", owner.Shard, "error", err)
		}
	})
}

// respond is what happens to one question.
func (r *Responder) respond(ctx context.Context, owner Owner, id string) error {
	q, left, err := r.read(ctx, id)
	if err != nil || left <= 0 {
		return err // nobody waits any more
	}
	asking, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	if err := r.holds(asking, owner); err != nil {
		return fmt.Errorf("before acting: %w", err)
	}
	body, err := r.answer(asking, owner, q)
	a := answer{Term: owner.Term}
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		a.Code = refusal.Code
	} else if err != nil {
		r.logger.ErrorContext(ctx, "answer question", "kind", q.Kind, "company_id", q.CompanyID, "error", err)
		a.Code = ErrFailed.Code
	} else if a.Body, err = json.Marshal(body); err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if err := r.holds(asking, owner); err != nil {
		return fmt.Errorf("before answering: %w", err)
	}
	return r.write(asking, id, a)
}

// read returns a question with the time that is left for it, none for one that has expired.
func (r *Responder) read(ctx context.Context, id string) (q Question, left time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	pipe := r.redis.Pipeline()
	body, life := pipe.Get(ctx, questionKey(id)), pipe.PTTL(ctx, questionKey(id))
	if _, err := pipe.Exec(ctx); errors.Is(err, redis.Nil) {
		return q, 0, nil
	} else if err != nil {
		return q, 0, fmt.Errorf("read question: %w", err)
	}
	if err := json.Unmarshal([]byte(body.Val()), &q); err != nil {
		return q, 0, fmt.Errorf("decode question: %w", err)
	}
	return q, life.Val(), nil
}

func (r *Responder) write(ctx context.Context, id string, a answer) error {
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	pipe := r.redis.TxPipeline()
	pipe.RPush(ctx, answerKey(id), body)
	pipe.PExpire(ctx, answerKey(id), answerLife)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	return nil
}
