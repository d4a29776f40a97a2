package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// maxInFlight bounds the calls that wait for an answer. What is due beyond it is not made, and counts as refused.
const maxInFlight = 2000

// ErrOverload is the error of calls that were not made because too many wait for an answer.
var ErrOverload = errors.New("too many calls wait for an answer")

// Open makes calls at a constant rate a second for a time, spread over the pairs in turn, and returns when all are
// answered. The first calls, made during the warm-up, are told apart.
func Open(ctx context.Context, api API, pairs []Pair, rate float64, warmUp, lasting time.Duration) (warm, sent []Sent, err error) {
	interval := time.Duration(float64(time.Second) / rate)
	total := int((warmUp + lasting) / interval)
	all := make([]Sent, total)
	slots := make(chan struct{}, maxInFlight)
	var calls sync.WaitGroup
	defer calls.Wait() // also when it is broken off
	start := time.Now()
	for n := range total {
		due := start.Add(time.Duration(n) * interval)
		if err := Pause(ctx, time.Until(due)); err != nil {
			return nil, nil, err
		}
		pair := pairs[n%len(pairs)]
		select {
		case slots <- struct{}{}:
		default:
			all[n] = Sent{Pair: pair, Due: due, Answered: time.Now(), Err: ErrOverload}
			continue
		}
		calls.Go(func() {
			all[n] = send(ctx, api, pair, n, due)
			<-slots
		})
	}
	calls.Wait()
	first := min(int(warmUp/interval), total)
	return all[:first], all[first:], nil
}
