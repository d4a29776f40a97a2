package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
)

type echo struct {
	Text string `json:"text"`
}

// line is a host that answers, and somebody who asks it.
type line struct {
	*rpc.Caller
	*rpc.Responder

	owner  rpc.Owner
	lost   atomic.Bool // the lease
	asked  atomic.Int32
	answer func(ctx context.Context, q rpc.Question) (any, error)
}

func newLine(t *testing.T, client redis.UniversalClient) *line {
	t.Helper()
	l := &line{Caller: rpc.NewCaller(client), owner: rpc.Owner{Shard: 3, Term: uuid.New()}}
	l.answer = func(_ context.Context, q rpc.Question) (any, error) {
		var asked echo
		err := json.Unmarshal(q.Body, &asked)
		return echo{q.CompanyID + ": " + asked.Text}, err
	}
	l.Responder = rpc.NewResponder(client, slog.New(slog.DiscardHandler), func(context.Context, rpc.Owner) error {
		if l.lost.Load() {
			return errors.New("lease is lost")
		}
		return nil
	}, func(ctx context.Context, owner rpc.Owner, q rpc.Question) (any, error) {
		l.asked.Add(1)
		if owner != l.owner {
			t.Errorf("asked as %v", owner)
		}
		return l.answer(ctx, q)
	})
	require.NoError(t, l.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, l.Stop(context.WithoutCancel(t.Context()))) })
	l.Hold(t.Context(), l.owner)
	return l
}

// ask asks an owner; within is how long it waits.
func (l *line) ask(t *testing.T, owner rpc.Owner, within time.Duration) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	var answer echo
	err := l.Ask(ctx, owner, rpc.Question{Kind: "echo", CompanyID: "salon", Body: []byte(`{"text":"hi"}`)}, &answer)
	return answer.Text, err
}

// ready waits until the responder's subscription is there.
func (l *line) ready(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		answer, err := l.ask(t, l.owner, 2*time.Second)
		return err == nil && answer == "salon: hi"
	}, 10*time.Second, 10*time.Millisecond)
	l.asked.Store(0)
}

func TestAQuestionIsAnswered(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		answer, err := l.ask(t, l.owner, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, "salon: hi", answer)

		l.answer = func(context.Context, rpc.Question) (any, error) { return nil, rpc.ErrOffline }
		_, err = l.ask(t, l.owner, 5*time.Second)
		require.ErrorIs(t, err, rpc.ErrOffline)
		require.NotErrorIs(t, err, rpc.ErrWhatsApp)

		l.answer = func(context.Context, rpc.Question) (any, error) { return nil, errors.New("a secret") }
		_, err = l.ask(t, l.owner, 5*time.Second)
		require.ErrorIs(t, err, rpc.ErrFailed, "what went wrong stays over there")
	})
}

// Who is not there does not answer, and that shows at once; nor does who is asked for another term.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		begun := time.Now()
		for _, owner := range []rpc.Owner{{Shard: 3, Term: uuid.New()}, {Shard: 4, Term: l.owner.Term}} {
			_, err := l.ask(t, owner, time.Minute)
			require.ErrorIs(t, err, rpc.ErrNoAnswer)
		}
		l.Drop(t.Context(), l.owner.Shard)
		require.Eventually(t, func() bool {
			_, err := l.ask(t, l.owner, time.Second)
			return errors.Is(err, rpc.ErrNoAnswer)
		}, 5*time.Second, 10*time.Millisecond)
		require.Less(t, time.Since(begun), 30*time.Second)
		require.Zero(t, l.asked.Load())
		require.Error(t, l.Ask(context.Background(), l.owner, rpc.Question{}, nil), "a question needs a deadline")
	})
}

// The lease is looked at before anything is done, and again before anything is said.
func TestAnOwnerWithoutALeaseSaysNothing(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		l.lost.Store(true)
		_, err := l.ask(t, l.owner, 300*time.Millisecond)
		require.ErrorIs(t, err, rpc.ErrNoAnswer)
		require.Zero(t, l.asked.Load(), "nothing was done")

		l.lost.Store(false)
		l.answer = func(context.Context, rpc.Question) (any, error) {
			l.lost.Store(true)
			return echo{"too late"}, nil
		}
		_, err = l.ask(t, l.owner, 300*time.Millisecond)
		require.ErrorIs(t, err, rpc.ErrNoAnswer)
		require.EqualValues(t, 1, l.asked.Load())
	})
}

// What has expired is dropped, by the clock of Redis alone; work on it ends with it.
func TestAQuestionExpires(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		require.NoError(t, client.Publish(t.Context(), "wafleet:rpc:3:"+l.owner.Term.String(), "long gone").Err())
		ended := make(chan struct{})
		l.answer = func(ctx context.Context, _ rpc.Question) (any, error) {
			<-ctx.Done()
			close(ended)
			return nil, ctx.Err()
		}
		_, err := l.ask(t, l.owner, 300*time.Millisecond)
		require.ErrorIs(t, err, rpc.ErrNoAnswer)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			require.FailNow(t, "the work went on")
		}
		require.EqualValues(t, 1, l.asked.Load(), "only the one that somebody waited for")
	})
}

// An answer of another term is not believed, whoever wrote it.
func TestAnAnswerOfAnotherTerm(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		sub := client.Subscribe(t.Context(), "wafleet:rpc:3:"+l.owner.Term.String())
		defer func() { _ = sub.Close() }()
		_, err := sub.Receive(t.Context())
		require.NoError(t, err)
		released := make(chan struct{})
		l.answer = func(context.Context, rpc.Question) (any, error) {
			<-released
			return echo{"the owner's"}, nil
		}
		go func() {
			m := <-sub.Channel()
			key := "wafleet:rpc:{" + m.Payload + "}:answer"
			client.RPush(context.Background(), key, `{"term":"`+uuid.NewString()+`","body":{"text":"somebody else's"}}`)
			close(released)
		}()
		answer, err := l.ask(t, l.owner, 5*time.Second)
		require.NoError(t, err)
		require.Equal(t, "the owner's", answer)
	})
}

// Questions that wait are bounded: they hold connections that limits and nudges need as well.
func TestQuestionsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		l := newLine(t, client)
		l.ready(t)
		working, release := make(chan struct{}, 64), make(chan struct{})
		l.answer = func(context.Context, rpc.Question) (any, error) {
			working <- struct{}{}
			<-release
			return echo{"done"}, nil
		}
		done := make(chan error, 8)
		for range 8 {
			go func() {
				_, err := l.ask(t, l.owner, 20*time.Second)
				done <- err
			}()
		}
		for range 8 {
			<-working
		}
		_, err := l.ask(t, l.owner, time.Second)
		require.ErrorIs(t, err, rpc.ErrBusy)
		close(release)
		for range 8 {
			require.NoError(t, <-done)
		}
		_, err = l.ask(t, l.owner, 5*time.Second)
		require.NoError(t, err)
	})
}

func TestAskWithoutRedis(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: 50 * time.Millisecond})
	t.Cleanup(func() { _ = client.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := rpc.NewCaller(client).Ask(ctx, rpc.Owner{}, rpc.Question{}, nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, rpc.ErrNoAnswer)
	r := rpc.NewResponder(client, slog.New(slog.DiscardHandler), nil, nil)
	require.NoError(t, r.Stop(t.Context()), "before it started")
}
