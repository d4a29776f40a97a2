package rpc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	// ErrNoAnswer says that the owner did not answer in time, or is not there.
	ErrNoAnswer = errors.New("no answer from the owner")
	// ErrBusy says that too many questions of this process wait for their answers.
	ErrBusy = errors.New("too many questions wait for answers")
)

// maxWaiting bounds the questions of a process that wait: each holds a connection to Redis, and the limits need some, too.
const maxWaiting = 8

// Caller asks owners. It is safe for concurrent use.
type Caller struct {
	redis   redis.UniversalClient
	waiting chan struct{}
}

// NewCaller returns a caller.
func NewCaller(client redis.UniversalClient) *Caller {
	return &Caller{redis: client, waiting: make(chan struct{}, maxWaiting)}
}

// Ask asks an owner and decodes the answer. It waits until the context's deadline, which it needs: no question is acted upon
// after it. ErrNoAnswer, ErrBusy, a *Refusal, or what is wrong with Redis; in all cases it may be asked again.
func (c *Caller) Ask(ctx context.Context, owner Owner, q Question, into any) error {
	select {
	case c.waiting <- struct{}{}:
		defer func() { <-c.waiting }()
	default:
		return ErrBusy
	}
	id := rand.Text()
	if err := c.put(ctx, id, owner, q); err != nil {
		return err
	}
	for {
		a, err := c.await(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case a.Term != owner.Term: // somebody who was not asked
		case a.Code != "":
			return &Refusal{a.Code}
		default:
			if err := json.Unmarshal(a.Body, into); err != nil {
				return fmt.Errorf("decode answer: %w", err)
			}
			return nil
		}
	}
}

// put writes the question down and tells the owner of it.
func (c *Caller) put(ctx context.Context, id string, owner Owner, q Question) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return errors.New("a question needs a deadline")
	}
	body, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode question: %w", err)
	}
	life := time.Until(deadline)
	if life <= 0 {
		return ErrNoAnswer
	}
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	if err := c.redis.Set(ctx, questionKey(id), body, life).Err(); err != nil {
		return fmt.Errorf("put question: %w", err)
	}
	heard, err := c.redis.Publish(ctx, owner.channel(), id).Result()
	if err != nil {
		return fmt.Errorf("publish question: %w", err)
	}
	if _, one := c.redis.(*redis.Client); one && heard == 0 { // a node of a cluster knows its own listeners only
		return ErrNoAnswer
	}
	return nil
}

// await returns the next answer.
func (c *Caller) await(ctx context.Context, id string) (a answer, err error) {
	deadline, _ := ctx.Deadline()
	wait := max(time.Until(deadline).Round(time.Second), time.Second) // Redis' unit; the context is what counts
	reply, err := c.redis.BLPop(ctx, wait, answerKey(id)).Result()
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return a, fmt.Errorf("wait for answer: %w", ctx.Err())
	case errors.Is(err, redis.Nil), ctx.Err() != nil, errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, os.ErrDeadlineExceeded): // a connection's deadline may be a moment ahead of the context's
		return a, ErrNoAnswer
	case err != nil:
		return a, fmt.Errorf("wait for answer: %w", err)
	}
	if err := json.Unmarshal([]byte(reply[1]), &a); err != nil {
		return a, fmt.Errorf("decode answer: %w", err)
	}
	return a, nil
}
