package actor

import (
	"context"
	"time"
)

const (
	// retryPublish and maxPublishDelay are the pauses between attempts to put a code on show.
	retryPublish    = 100 * time.Millisecond
	maxPublishDelay = 2 * time.Second
)

// notice is a code on its way to the board, which a Redis that is away for a moment keeps from being shown. Nobody asks
// for it again: the phone and its user are waiting.
type notice struct {
	publish func(ctx context.Context) error // nil: it is on show, or there is nothing to show
	tries   int
	again   *time.Timer
}

// show puts a code on show in the place of what is there, and tries until it is or the code has expired.
func (a *Actor) show(ctx context.Context, publish func(ctx context.Context) error) {
	a.pairing.board.publish, a.pairing.board.tries = publish, 0
	a.publish(ctx)
}

// publish makes one attempt. What has expired counts as published: there is nothing left to be done.
func (a *Actor) publish(ctx context.Context) {
	n := &a.pairing.board
	if n.publish == nil {
		return
	}
	err := n.publish(ctx)
	if err == nil {
		n.withdraw()
		return
	}
	n.tries++
	a.logger.WarnContext(ctx, "publish code", "try", n.tries, "error", err)
	n.again.Reset(min(backoff(retryPublish, n.tries), maxPublishDelay))
}

// withdraw ends the attempts.
func (n *notice) withdraw() {
	n.again.Stop()
	n.publish = nil
}
