package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/vault"
)

const (
	// wait is how long one look at an empty queue lasts.
	wait = queue.MaxWait
	// visibility is how long a batch is ours. A write takes milliseconds; when a host dies with a batch in hand, the
	// companies in it wait this long.
	visibility = 6 * time.Second
	// writeTimeout bounds the write and the delete of one batch, well inside visibility.
	writeTimeout = 4 * time.Second
	// maxPause is where the growing pause after failures ends.
	maxPause = 5 * time.Second
)

// ReasonInvalid is why a send fails whose queued form cannot be read.
const ReasonInvalid = "ingest_invalid"

// Opener opens sealed bodies; *vault.Vault is one.
type Opener interface {
	Open(ctx context.Context, companyID, place string, sealed []byte) ([]byte, error)
}

var _ Opener = (*vault.Vault)(nil)

// Deps is what an ingester needs.
type Deps struct {
	Queue    queue.Queue
	Store    *store.Store
	Vault    Opener
	HostID   string
	Kick     func(companyID string) // tells the company's actor that its outbox has grown; must not block
	Announce func(ctx context.Context, deliveries []store.Delivery)
	Registry prometheus.Registerer
	Logger   *slog.Logger
}

// Ingester receives for the shards that are open.
type Ingester struct {
	Deps
	ingested *prometheus.CounterVec

	mu     sync.Mutex
	shards map[int]*receiver
}

// receiver is the loop of one shard.
type receiver struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// New returns an ingester without shards.
func New(deps Deps) *Ingester {
	in := &Ingester{Deps: deps, shards: make(map[int]*receiver), ingested: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wafleet_ingested_total", Help: "Sends taken from the hand-over queue, by what became of them.",
	}, []string{"result"})}
	deps.Registry.MustRegister(in.ingested)
	return in
}

// OpenShard begins to receive for a shard.
func (in *Ingester) OpenShard(ctx context.Context, shard int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.shards[shard] != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &receiver{cancel: cancel, done: make(chan struct{})}
	in.shards[shard] = r
	go func() {
		defer close(r.done)
		in.receive(ctx, queue.Sends(shard))
	}()
}

// CloseShard stops receiving at once, and returns a function that waits until the batch in hand is written.
func (in *Ingester) CloseShard(shard int) (wait func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	r := in.shards[shard]
	if r == nil {
		return func() {}
	}
	delete(in.shards, shard)
	r.cancel()
	return func() { <-r.done }
}

// Stop closes every shard and waits.
func (in *Ingester) Stop(context.Context) error {
	in.mu.Lock()
	open := slices.Collect(maps.Keys(in.shards))
	in.mu.Unlock()
	var closing []func()
	for _, shard := range open {
		closing = append(closing, in.CloseShard(shard))
	}
	for _, wait := range closing {
		wait()
	}
	return nil
}

// receive ends with the context; what was received by then is still written.
func (in *Ingester) receive(ctx context.Context, name string) {
	for failures := 0; ctx.Err() == nil; {
		batch, err := in.Queue.Receive(ctx, name, queue.MaxBatch, wait, visibility)
		if err == nil && len(batch) > 0 {
			err = in.take(context.WithoutCancel(ctx), name, batch)
		}
		if err == nil {
			failures = 0
			continue
		}
		if ctx.Err() != nil {
			return
		}
		failures++
		in.Logger.WarnContext(ctx, "ingest", "queue", name, "failures", failures, "error", err)
		pause(ctx, failures)
	}
}

// take writes a batch and deletes it. What is not written is handed back, so that its group does not stay
// locked until the visibility ends.
func (in *Ingester) take(ctx context.Context, name string, batch []queue.Received) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	sends, readable, err := in.read(ctx, batch)
	if err == nil {
		err = in.write(ctx, sends)
	}
	if err != nil {
		return errors.Join(err, in.handBack(ctx, name, batch))
	}
	if len(readable) < len(batch) {
		in.Logger.ErrorContext(ctx, "unreadable sends stay for the dead letters", "queue", name, "messages", len(batch)-len(readable))
	}
	if len(readable) == 0 {
		return nil
	}
	if err := in.Queue.Delete(ctx, name, readable); err != nil {
		return fmt.Errorf("delete ingested: %w", err) // they come again and fold
	}
	return nil
}

// read sorts a batch into what can be queued and what cannot. A body that cannot be opened fails its message
// here, where the reason is known; an envelope that does not even name one is left to the dead letters.
func (in *Ingester) read(ctx context.Context, batch []queue.Received) ([]db.QueueMessageParams, []string, error) {
	sends := make([]db.QueueMessageParams, 0, len(batch))
	readable := make([]string, 0, len(batch))
	for i := range batch {
		e, err := message.DecodeEnvelope(batch[i].Body)
		if err == nil {
			_, err = in.Vault.Open(ctx, e.CompanyID, message.BodyContext(e.MessageID), e.Body)
		}
		switch {
		case err == nil:
			sends = append(sends, db.QueueMessageParams{CompanyID: e.CompanyID, MessageID: e.MessageID, Body: e.Body, HostID: in.HostID})
		case !errors.Is(err, message.ErrBadEnvelope) && !errors.Is(err, vault.ErrCannotOpen) && !errors.Is(err, vault.ErrNoKey):
			return nil, nil, fmt.Errorf("open body: %w", err) // the vault is away, not the message bad
		default:
			found, err := in.fail(ctx, e)
			if err != nil {
				return nil, nil, err
			}
			if !found {
				continue
			}
		}
		readable = append(readable, batch[i].Handle)
	}
	return sends, readable, nil
}

// fail marks the message of an unreadable envelope. It returns false when no such message waits.
func (in *Ingester) fail(ctx context.Context, e message.Envelope) (bool, error) {
	in.ingested.WithLabelValues("invalid").Inc()
	var deliveries []store.Delivery
	err := in.Store.InTx(ctx, func(tx pgx.Tx) (err error) {
		deliveries, err = in.Store.MoveInTx(ctx, tx, in.HostID, store.Move{
			CompanyID: e.CompanyID, MessageID: e.MessageID, To: message.Failed, Reason: ReasonInvalid,
			From: []message.Status{message.Accepted},
		})
		return err
	})
	if errors.Is(err, store.ErrNotMoved) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("fail unreadable send: %w", err)
	}
	in.Announce(ctx, deliveries)
	return true, nil
}

// write makes the messages wait for their turn, and tells their actors.
func (in *Ingester) write(ctx context.Context, sends []db.QueueMessageParams) error {
	if len(sends) == 0 {
		return nil
	}
	queued, err := in.Store.QueueAll(ctx, sends)
	if err != nil {
		return err
	}
	in.ingested.WithLabelValues("queued").Add(float64(len(queued)))
	in.ingested.WithLabelValues("folded").Add(float64(len(sends) - len(queued)))
	last := ""
	for i := range queued {
		if id := queued[i].CompanyID; id != last {
			in.Kick(id)
			last = id
		}
	}
	return nil
}

func (in *Ingester) handBack(ctx context.Context, name string, batch []queue.Received) error {
	handles := make([]string, len(batch))
	for i := range batch {
		handles[i] = batch[i].Handle
	}
	if err := in.Queue.Extend(ctx, name, handles, 0); err != nil {
		return fmt.Errorf("hand back: %w", err)
	}
	return nil
}

// pause waits a random time that grows with the failures.
func pause(ctx context.Context, failures int) {
	ceiling := min(100*time.Millisecond<<min(failures, 10), maxPause)
	timer := time.NewTimer(rand.N(ceiling) + 1) //nolint:gosec // jitter, not a secret
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
