package shard_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/shard"
	"wafleet/shared/lease"
	"wafleet/shared/store"
)

type verb int

const (
	take verb = iota
	takeLate
	renew
	release
	write
)

// call is an operation on the lease of one shard, as a client made it.
type call struct {
	verb  verb
	shard int
	epoch int64
}

// answer is what came of it; the epoch is that of a take that succeeded.
type answer struct {
	ok    bool
	epoch int64
}

// register is what a lease is, if it is right: a counter of tenures, the latest of which is held or not. Time is no
// part of it: whether a lease was late is the database's to say.
type register struct {
	epoch int64
	held  bool
}

var leaseModel = porcupine.Model{
	Init: func() any { return register{} },
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		shards := make(map[int][]porcupine.Operation)
		for _, op := range history {
			n := op.Input.(call).shard
			shards[n] = append(shards[n], op)
		}
		parts := make([][]porcupine.Operation, 0, len(shards))
		for _, part := range shards {
			parts = append(parts, part)
		}
		return parts
	},
	Step: func(state, input, output any) (bool, any) {
		r, in, out := state.(register), input.(call), output.(answer)
		holds := r.held && r.epoch == in.epoch
		switch in.verb {
		case take, takeLate:
			free := !r.held || in.verb == takeLate
			return free && out.epoch == r.epoch+1, register{epoch: out.epoch, held: true}
		case renew, write:
			return out.ok == holds, r
		case release:
			return true, register{epoch: r.epoch, held: r.held && !holds}
		}
		return false, r
	},
}

// history records what all hosts did, and when.
type history struct {
	start  time.Time
	epochs sync.Map // of terms
	gained sync.Map // terms that some host was told of

	mu         sync.Mutex // guards what follows
	operations []porcupine.Operation
}

func (h *history) add(client int, began time.Time, in call, out answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: client, Input: in, Output: out, Call: began.Sub(h.start).Nanoseconds(), Return: time.Since(h.start).Nanoseconds(),
	})
}

// latest is the highest epoch so far.
func (h *history) latest() (n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, op := range h.operations {
		n = max(n, op.Output.(answer).epoch)
	}
	return n
}

// recorded is a table of leases that writes down every call. A call that has begun is finished even if its host is
// killed meanwhile, so that its outcome is known.
type recorded struct {
	*lease.Table

	id      string
	t       *testing.T
	pool    *pgxpool.Pool
	history *history
	client  int
}

func (r recorded) Take(ctx context.Context, claim lease.Claim) ([]lease.Lease, error) {
	began := time.Now()
	taken, err := r.Table.Take(context.WithoutCancel(ctx), claim)
	if err != nil {
		r.t.Errorf("take: %v", err)
	}
	v := take
	if claim.Late {
		v = takeLate
	}
	for _, l := range taken {
		r.history.epochs.Store(l.Term, l.Epoch)
		r.history.add(r.client, began, call{verb: v, shard: l.Shard}, answer{ok: true, epoch: l.Epoch})
	}
	return taken, err
}

func (r recorded) Renew(ctx context.Context, held []lease.Lease, draining bool) ([]lease.Lease, error) {
	began := time.Now()
	still, err := r.Table.Renew(context.WithoutCancel(ctx), held, draining)
	if err != nil {
		r.t.Errorf("renew: %v", err)
	}
	kept := make(map[uuid.UUID]bool)
	for _, l := range still {
		kept[l.Term] = true
	}
	for _, l := range held {
		r.history.add(r.client, began, call{verb: renew, shard: l.Shard, epoch: l.Epoch}, answer{ok: kept[l.Term]})
	}
	return still, err
}

func (r recorded) Release(ctx context.Context, held ...lease.Lease) error {
	began := time.Now()
	err := r.Table.Release(context.WithoutCancel(ctx), held...)
	if err != nil {
		r.t.Errorf("release: %v", err)
	}
	for _, l := range held {
		r.history.add(r.client, began, call{verb: release, shard: l.Shard, epoch: l.Epoch}, answer{})
	}
	return err
}

// write asks under a fence as every write does.
func (r recorded) write(ctx context.Context, fence store.Fence) {
	epoch, _ := r.history.epochs.Load(fence.Term)
	began := time.Now()
	err := store.New(r.pool, nil).CheckFence(ctx, fence)
	if err != nil && !errors.Is(err, store.ErrFenced) {
		r.t.Errorf("write: %v", err)
	}
	r.history.add(r.client, began, call{verb: write, shard: fence.Shard, epoch: epoch.(int64)}, answer{ok: err == nil})
}

// Hosts come, are killed, stop in peace and come again; each goes on writing for whatever it once gained. What they did
// has to be explained by one register for each shard: tenures follow one another, and only the latest one writes.
func TestLeasesAreLinearizable(t *testing.T) {
	t.Parallel()
	const shards, hosts, tenures = 2, 3, 12
	pool := newPool(t, shards)
	h := &history{start: time.Now()}
	deadline := time.Now().Add(time.Minute)
	t.Run("hosts", func(t *testing.T) {
		for client := range hosts {
			t.Run(strconv.Itoa(client), func(t *testing.T) {
				t.Parallel()
				for h.latest() < tenures && time.Now().Before(deadline) {
					id := uuid.NewString()
					live(t, recorded{Table: table(t, pool, id, 300*time.Millisecond), id: id, t: t, pool: pool, history: h, client: client})
				}
			})
		}
	})
	require.GreaterOrEqual(t, h.latest(), int64(tenures), "in time")
	t.Logf("%d operations", len(h.operations))
	result, info := porcupine.CheckOperationsVerbose(leaseModel, h.operations, 20*time.Second)
	if result != porcupine.Ok {
		t.Logf("partial: %v", info.PartialLinearizations())
	}
	require.Equal(t, porcupine.Ok, result)
}

// live is the life of one host, from its start to a sudden or peaceful end, and a little longer.
func live(t *testing.T, leases recorded) {
	t.Helper()
	a := startHost(t, leases.id, leases)
	writeUntil(t, a, leases, time.After(time.Duration(300+rand.IntN(900))*time.Millisecond))
	if rand.IntN(2) == 0 {
		require.NoError(t, a.Stop(t.Context()))
	}
	a.kill()
	writeUntil(t, a, leases, time.After(50*time.Millisecond))
	for _, e := range a.log() {
		if e, ok := e.(shard.Gained); ok {
			_, again := leases.history.gained.LoadOrStore(e.Fence.Term, true)
			require.False(t, again, "two hosts have gained one term")
		}
	}
}

// writeUntil writes under everything that the host has ever gained, held or not.
func writeUntil(t *testing.T, a *host, leases recorded, end <-chan time.Time) {
	t.Helper()
	pause := time.NewTicker(10 * time.Millisecond)
	defer pause.Stop()
	for {
		for _, e := range a.log() {
			if e, ok := e.(shard.Gained); ok {
				leases.write(t.Context(), e.Fence)
			}
		}
		select {
		case <-end:
			return
		case <-pause.C:
		}
	}
}
