package store_test

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/session"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
)

// fencedCalls has every method of the store that takes a fence, as a call that succeeds under a lease that is held.
var fencedCalls = map[string]func(ctx context.Context, f *fixture, fence store.Fence) error{
	"Begin": func(ctx context.Context, f *fixture, fence store.Fence) error {
		return f.Begin(ctx, fence, attempt("queued"))
	},
	"Resume": func(ctx context.Context, f *fixture, fence store.Fence) error {
		return f.Resume(ctx, fence, attempt("unconfirmed"))
	},
	"Move": func(ctx context.Context, f *fixture, fence store.Fence) error {
		_, err := f.Move(ctx, fence, store.Move{CompanyID: company, MessageID: "sending", To: message.Sent})
		return err
	},
	"Advance": func(ctx context.Context, f *fixture, fence store.Fence) error {
		next := attempt("queued")
		_, _, err := f.Advance(ctx, fence, store.Move{CompanyID: company, MessageID: "sending", To: message.Sent}, store.Subject{}, &next)
		return err
	},
	"Postpone": func(ctx context.Context, f *fixture, fence store.Fence) error {
		return f.Postpone(ctx, fence, store.Postponement{CompanyID: company, MessageID: "queued", Reason: "test"})
	},
	"DoubtStale": func(ctx context.Context, f *fixture, fence store.Fence) error {
		_, err := f.DoubtStale(ctx, fence, company, uuid.New())
		return err
	},
	"ChangeSession": func(ctx context.Context, f *fixture, fence store.Fence) error {
		c := change(session.Connected)
		c.Event = "session.connected"
		_, err := f.ChangeSession(ctx, fence, c)
		return err
	},
	"DisownSockets": func(ctx context.Context, f *fixture, fence store.Fence) error { return f.DisownSockets(ctx, fence) },
	"Receive": func(ctx context.Context, f *fixture, fence store.Fence) error {
		_, _, err := f.Receive(ctx, fence, arrival())
		return err
	},
	"Quarantine": func(ctx context.Context, f *fixture, fence store.Fence) error {
		return f.Quarantine(ctx, fence, company, "", "", nil)
	},
	"FencedTx": func(ctx context.Context, f *fixture, fence store.Fence) error {
		return f.FencedTx(ctx, fence, func(tx pgx.Tx) error {
			_, err := f.AppendEvent(ctx, tx, store.Event{CompanyID: company, Type: "test"})
			return err
		})
	},
	"CheckFence": func(ctx context.Context, f *fixture, fence store.Fence) error { return f.CheckFence(ctx, fence) },
	"DelayBatches": func(ctx context.Context, f *fixture, fence store.Fence) error {
		_, err := f.DelayBatches(ctx, fence, company, time.Now().Add(time.Hour), "working_hours")
		return err
	},
}

// fencedStatements has every compiled statement that checks a term by itself; it returns the rows that it touched.
var fencedStatements = map[string]func(ctx context.Context, f *fixture, fence store.Fence) (int64, error){
	"BeginSending": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		return f.Queries().BeginSending(ctx, f.pool, db.BeginSendingParams{
			CompanyID: company, MessageID: "queued", Wire: []byte("w"), Shard: fence.Shard, Term: fence.Term,
		})
	},
	"AdvanceMessage": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		row, err := f.Queries().AdvanceMessage(ctx, f.pool, db.AdvanceMessageParams{
			CompanyID: company, MessageID: "sending", FromStates: []string{"sending"}, Status: "sent", NextID: "queued", NextWire: []byte("w"),
			EventType: "test", EventData: []byte("sealed"), Shard: fence.Shard, Term: fence.Term,
		})
		require.Equal(f.t, row.Held, row.Begun)
		require.Equal(f.t, row.Held, row.Moved)
		if row.Moved {
			return 1, err
		}
		return 0, err
	},
	"DisownSockets": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		held, err := f.Queries().DisownSockets(ctx, f.pool, db.DisownSocketsParams{Shard: fence.Shard, Term: fence.Term, Status: "connecting"})
		if held {
			return 1, err
		}
		return 0, err
	},
	"DelayBatchRows": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		row, err := f.Queries().DelayBatchRows(ctx, f.pool, db.DelayBatchRowsParams{
			CompanyID: company, Until: time.Now().Add(time.Hour), Reason: "working_hours", Most: 10, Shard: fence.Shard, Term: fence.Term,
		})
		require.Equal(f.t, row.Held, row.Delayed > 0)
		return row.Delayed, err
	},
	"ReceiveMessage": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		row, err := f.Queries().ReceiveMessage(ctx, f.pool, db.ReceiveMessageParams{
			CompanyID: company, MessageID: "in_1", Kind: "text", Chat: "chat", EventType: "test", EventData: []byte("sealed"),
			Shard: fence.Shard, Term: fence.Term,
		})
		require.Equal(f.t, row.Held, row.Fresh)
		if row.Fresh {
			return 1, err
		}
		return 0, err
	},
	"PostponeMessage": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		return f.Queries().PostponeMessage(ctx, f.pool, db.PostponeMessageParams{
			CompanyID: company, MessageID: "queued", Shard: fence.Shard, Term: fence.Term,
		})
	},
	"ResumeSending": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		return f.Queries().ResumeSending(ctx, f.pool, db.ResumeSendingParams{
			CompanyID: company, MessageID: "unconfirmed", Shard: fence.Shard, Term: fence.Term,
		})
	},
	"SetSessionState": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		row, err := f.Queries().SetSessionState(ctx, f.pool, db.SetSessionStateParams{
			CompanyID: company, State: "stopped", UserAction: "none", EventType: "test", EventData: []byte("sealed"),
			Shard: fence.Shard, Term: fence.Term,
		})
		require.Equal(f.t, row.Held, row.Changed)
		if row.Changed {
			return 1, err
		}
		return 0, err
	},
	"ObserveGeneration": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		return f.Queries().ObserveGeneration(ctx, f.pool, db.ObserveGenerationParams{
			CompanyID: company, Generation: 1, Shard: fence.Shard, Term: fence.Term,
		})
	},
	"SettleMedia": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		held, err := f.Queries().SettleMedia(ctx, f.pool, db.SettleMediaParams{
			CompanyID: company, MediaID: "med_1", State: "failed", Shard: fence.Shard, Term: fence.Term,
		})
		return count(held), err
	},
	"RenewMedia": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		held, err := f.Queries().RenewMedia(ctx, f.pool, db.RenewMediaParams{
			CompanyID: company, MediaID: "med_1", SealedReference: []byte("new"), Shard: fence.Shard, Term: fence.Term,
		})
		return count(held), err
	},
	"AimLease": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		return f.Queries().AimLease(ctx, f.pool, db.AimLeaseParams{Shard: fence.Shard, Term: fence.Term, Target: "host-b"})
	},
	"SettleLease": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		f.exec(f.t, `UPDATE shard_lease SET target = 'host-b' WHERE shard = $1 AND term = $2`, fence.Shard, fence.Term)
		return f.Queries().SettleLease(ctx, f.pool, db.SettleLeaseParams{Shard: fence.Shard, Term: fence.Term})
	},
	"HoldFence": func(ctx context.Context, f *fixture, fence store.Fence) (int64, error) {
		_, err := f.Queries().HoldFence(ctx, f.pool, db.HoldFenceParams{Shard: fence.Shard, Term: fence.Term})
		if err == nil {
			return 1, nil
		}
		require.ErrorIs(f.t, err, pgx.ErrNoRows)
		return 0, nil
	},
}

func count(held bool) int64 {
	if held {
		return 1
	}
	return 0
}

// newFencedFixture has something for every fenced write to do.
func newFencedFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	for _, status := range []string{"queued", "sending", "unconfirmed"} {
		f.put(t, outgoing{id: status, status: status})
	}
	f.put(t, outgoing{id: "of a batch", status: "queued"})
	f.exec(t, `UPDATE messages SET lane = 1 WHERE message_id = 'of a batch'`)
	f.exec(t, `INSERT INTO received_media (media_id, company_id, message_id, sealed_reference, shard, state)
		VALUES ('med_1', $1, 'in_1', 'sealed', 0, 'asked')`, company)
	_, err := f.Queries().SetDesired(t.Context(), f.pool, db.SetDesiredParams{CompanyID: company, DesiredState: "running"})
	require.NoError(t, err)
	f.exec(t, `UPDATE whatsapp_sessions SET state = 'connected', connected_at = now()`)
	return f
}

// staleFences are the ways of having no right to write.
func staleFences(t *testing.T, f *fixture) (current store.Fence, stale map[string]store.Fence) {
	t.Helper()
	old := f.fence
	current = f.take(t, old.Shard, "host-b")
	elsewhere := f.take(t, 1, "host-a")
	return current, map[string]store.Fence{
		"taken over":            old,
		"term of another shard": {Shard: current.Shard, Term: elsewhere.Term, HostID: "host-a"},
		"shard of another term": {Shard: elsewhere.Shard, Term: current.Term, HostID: "host-b"},
		"never held":            {Shard: current.Shard, Term: uuid.New(), HostID: "host-c"},
		"of nobody":             {Shard: 2, HostID: "host-a"},
	}
}

func TestAStaleTermWritesNothing(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, methodsTaking(reflect.TypeFor[*store.Store](), func(p reflect.Type) bool {
		return p == reflect.TypeFor[store.Fence]()
	}), slices.Collect(maps.Keys(fencedCalls)), "every method that takes a fence has to be in the table")

	for name, call := range fencedCalls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFencedFixture(t)
			current, stale := staleFences(t, f)
			before := f.contents(t)
			for why, fence := range stale {
				require.ErrorIs(t, call(t.Context(), f, fence), store.ErrFenced, why)
				require.Equal(t, before, f.contents(t), why)
			}
			require.NoError(t, call(t.Context(), f, current))
			if name != "CheckFence" {
				require.NotEqual(t, before, f.contents(t), "the call has to be one that writes")
			}
		})
	}
}

func TestAStaleTermTouchesNoRow(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, methodsTaking(reflect.TypeFor[*db.Queries](), func(p reflect.Type) bool {
		if p.Kind() != reflect.Struct {
			return false
		}
		_, shard := p.FieldByName("Shard")
		_, term := p.FieldByName("Term")
		return shard && term
	}), slices.Collect(maps.Keys(fencedStatements)), "every statement that takes a term has to be in the table")

	for name, statement := range fencedStatements {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFencedFixture(t)
			current, stale := staleFences(t, f)
			before := f.contents(t)
			for why, fence := range stale {
				rows, err := statement(t.Context(), f, fence)
				require.NoError(t, err, why)
				require.Zero(t, rows, why)
				require.Equal(t, before, f.contents(t), why)
			}
			rows, err := statement(t.Context(), f, current)
			require.NoError(t, err)
			require.EqualValues(t, 1, rows)
		})
	}
}

// methodsTaking lists the methods that have such a parameter.
func methodsTaking(of reflect.Type, wanted func(reflect.Type) bool) (names []string) {
	for m := range of.Methods() {
		for i := 1; i < m.Type.NumIn(); i++ {
			if wanted(m.Type.In(i)) {
				names = append(names, m.Name)
			}
		}
	}
	return names
}

// holder is a writer in the middle of a fenced transaction.
type holder struct {
	release chan struct{}
	done    chan error
}

// hold starts a fenced transaction that has written, and keeps it open until released.
func (f *fixture) hold(t *testing.T, fence store.Fence) *holder {
	t.Helper()
	h := &holder{release: make(chan struct{}), done: make(chan error, 1)}
	holding := make(chan struct{})
	go func() {
		h.done <- f.FencedTx(t.Context(), fence, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO quarantine (company_id, source, reason) VALUES ($1, 'held', '')`, company)
			close(holding)
			<-h.release
			return err
		})
	}()
	await(t, holding)
	return h
}

// waitsForALock waits until a statement of this database waits for a row that another transaction has locked.
func (f *fixture) waitsForALock(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		return f.count(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) > 0
	}, 10*time.Second, 5*time.Millisecond, "nothing waits")
}

func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		require.Fail(t, "nothing came")
	}
	return v
}

// The heart of the fence: who has checked its term commits before anybody else can have the shard.
func TestTakeOverWaitsForTheWriter(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"take-over": `UPDATE shard_lease SET host_id = 'host-b', term = gen_random_uuid(), epoch = epoch + 1 WHERE shard = $1`,
		"release":   `UPDATE shard_lease SET host_id = NULL, term = NULL WHERE shard = $1`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			writer := f.hold(t, f.fence)
			changed := make(chan error, 1)
			go func() {
				_, err := f.pool.Exec(t.Context(), change, f.fence.Shard)
				changed <- err
			}()
			f.waitsForALock(t)
			require.Empty(t, changed)

			close(writer.release)
			require.NoError(t, await(t, writer.done))
			require.NoError(t, await(t, changed))
			require.Equal(t, 1, f.count(t, `SELECT count(*) FROM quarantine WHERE source = 'held'`))
			require.ErrorIs(t, f.CheckFence(t.Context(), f.fence), store.ErrFenced)
		})
	}
}

// The other way round: a writer that comes during a take-over waits for how it ends.
func TestTheWriterWaitsForATakeOver(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, f *fixture) error{
		"in a transaction": func(ctx context.Context, f *fixture) error {
			return f.Quarantine(ctx, f.fence, company, "", "", nil)
		},
		"in one statement": func(ctx context.Context, f *fixture) error { return f.Begin(ctx, f.fence, attempt("queued")) },
	} {
		for _, commits := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFencedFixture(t)
				takeOver, err := f.pool.Begin(t.Context())
				require.NoError(t, err)
				defer func() { _ = takeOver.Rollback(context.WithoutCancel(t.Context())) }()
				_, err = takeOver.Exec(t.Context(), `UPDATE shard_lease SET term = gen_random_uuid() WHERE shard = $1`, f.fence.Shard)
				require.NoError(t, err)

				written := make(chan error, 1)
				go func() { written <- write(t.Context(), f) }()
				f.waitsForALock(t)
				require.Empty(t, written)
				if commits {
					require.NoError(t, takeOver.Commit(t.Context()))
					require.ErrorIs(t, await(t, written), store.ErrFenced)
				} else {
					require.NoError(t, takeOver.Rollback(t.Context()))
					require.NoError(t, await(t, written))
				}
			})
		}
	}
}

// A renewal changes no key column, so that neither waits for the other: with FOR SHARE a few busy writers kept the
// renewals of a host waiting for up to 3 s (4 writers of one shard, 120 transactions a second each), now it is 12 ms.
func TestARenewalDoesNotWaitForTheWriter(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	writer := f.hold(t, f.fence)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	renewed, err := f.Queries().RenewLeases(ctx, f.pool, db.RenewLeasesParams{
		HostID: "host-a", Ttl: 60, Shards: []int{f.fence.Shard}, Terms: []uuid.UUID{f.fence.Term},
	})
	require.NoError(t, err)
	require.Equal(t, []int{f.fence.Shard}, renewed)
	close(writer.release)
	require.NoError(t, await(t, writer.done))

	// And a take-over that comes after both leaves the shard to the writer that locked the row as it was before.
	writer = f.hold(t, f.fence)
	_, err = f.Queries().RenewLeases(ctx, f.pool, db.RenewLeasesParams{
		HostID: "host-a", Ttl: -1, Shards: []int{f.fence.Shard}, Terms: []uuid.UUID{f.fence.Term},
	})
	require.NoError(t, err)
	takeOver := func() []db.TakeLeasesRow {
		taken, err := f.Queries().TakeLeases(ctx, f.pool, db.TakeLeasesParams{HostID: "host-b", Ttl: 60, Most: 1000, Late: true})
		require.NoError(t, err)
		return taken
	}
	for _, taken := range takeOver() {
		require.NotEqual(t, f.fence.Shard, taken.Shard)
	}
	close(writer.release)
	require.NoError(t, await(t, writer.done))
	taken := takeOver()
	require.Len(t, taken, 1)
	require.Equal(t, f.fence.Shard, taken[0].Shard)
}

// Why the check has to lock: without it, a host that was taken over writes after its successor did.
func TestACheckWithoutTheLockLetsAStaleWriteThrough(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	writer, err := f.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = writer.Rollback(context.WithoutCancel(t.Context())) }()
	var held bool
	require.NoError(t, writer.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM shard_lease WHERE shard = $1 AND term = $2)`,
		f.fence.Shard, f.fence.Term).Scan(&held))
	require.True(t, held)

	successor := f.take(t, f.fence.Shard, "host-b")
	require.NoError(t, f.Quarantine(t.Context(), successor, company, "successor", "", nil))

	_, err = writer.Exec(t.Context(), `INSERT INTO quarantine (company_id, source, reason) VALUES ($1, 'stale', '')`, company)
	require.NoError(t, err)
	require.NoError(t, writer.Commit(t.Context()))
	require.Equal(t, 2, f.count(t, `SELECT count(*) FROM quarantine`))
}
