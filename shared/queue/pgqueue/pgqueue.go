package pgqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
)

var (
	_ queue.Queue = (*Queue)(nil)
	_ queue.Local = (*Queue)(nil)
)

// errNotStarted is what Receive answers when it would have to wait and nobody could wake it.
var errNotStarted = fmt.Errorf("queue is not started: %w", queue.ErrUnavailable)

// Config tunes a Queue. The zero value is ready for use.
type Config struct {
	// LookEvery is how often waiting queues are looked at for what nobody announces; 1 s by default.
	LookEvery time.Duration
	// CleanEvery is how often old dedup ids are forgotten and messages past their retention dropped; 1 min by default.
	CleanEvery time.Duration
	// CallTimeout bounds work that runs detached from a caller's context; 10 s by default.
	CallTimeout time.Duration
}

// Queue is the queues of one Postgres database. Send, Delete and Extend always work; Receive waits only between Start
// and Stop.
type Queue struct {
	pool        *pgxpool.Pool
	sql         *sqlcgen.Queries
	definitions map[string]queue.Definition
	board       *board
	config      Config
	log         *slog.Logger

	// mu guards what follows.
	mu     sync.Mutex
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

// New returns the queues with these definitions. The pool stays the caller's. It takes no session state, but the
// listening connection, which is opened beside the pool, has to reach Postgres without a pooler in between.
func New(pool *pgxpool.Pool, definitions []queue.Definition, log *slog.Logger, config Config) (*Queue, error) {
	byName := make(map[string]queue.Definition, len(definitions))
	for _, d := range definitions {
		if err := d.Validate(definitions); err != nil {
			return nil, fmt.Errorf("define queue: %w", err)
		}
		byName[d.Name] = d
	}
	config.LookEvery = cmp.Or(config.LookEvery, time.Second)
	config.CleanEvery = cmp.Or(config.CleanEvery, time.Minute)
	config.CallTimeout = cmp.Or(config.CallTimeout, 10*time.Second)
	return &Queue{
		pool: pool, sql: sqlcgen.New(pool), definitions: byName, board: newBoard(), config: config, log: log,
	}, nil
}

// Start opens the listening connection, or fails, and begins to wake receivers and to clean up.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cancel != nil {
		return errors.New("queue is already started")
	}
	conn, err := q.listen(ctx)
	if err != nil {
		return classify(ctx, "start queue", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	q.cancel = cancel
	q.board.open()
	q.loops.Go(func() { q.listenLoop(running, conn) })
	q.loops.Go(func() { q.lookLoop(running) })
	q.loops.Go(func() { q.cleanLoop(running) })
	return nil
}

// Stop ends the background work and lets waiting receives return. It waits for the former until ctx ends, may be
// called again, and does nothing before Start.
func (q *Queue) Stop(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.cancel == nil {
		return nil
	}
	q.cancel()
	q.board.close()
	stopped := make(chan struct{})
	go func() {
		q.loops.Wait()
		close(stopped)
	}()
	select {
	case <-stopped:
		q.cancel = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop queue: %w", ctx.Err())
	}
}

// Local implements queue.Local.
func (q *Queue) Local() {}

// definition finds a queue by its name.
func (q *Queue) definition(name string) (queue.Definition, error) {
	d, ok := q.definitions[name]
	if !ok {
		return d, fmt.Errorf("queue %q: %w", name, queue.ErrNoQueue)
	}
	return d, nil
}
