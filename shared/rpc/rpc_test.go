package rpc_test

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/shared/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryRedis runs a test against the in-process server and, where there is one, against redis-server.
func onEveryRedis(t *testing.T, test func(t *testing.T, client redis.UniversalClient)) {
	t.Helper()
	t.Run("in process", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		test(t, connect(t, "redis://"+server.Addr()))
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		url := os.Getenv("TEST_REDIS_URL")
		if url == "" {
			if os.Getenv("REQUIRE_ALL") == "1" {
				t.Fatal("TEST_REDIS_URL is not set: run make test")
			}
			t.Skip("TEST_REDIS_URL is not set: run make test")
		}
		test(t, connect(t, url))
	})
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.ContextTimeoutEnabled, options.MaxRetries = true, -1 // as our processes have it
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func TestBoardShowsUntilExpiry(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		ctx, board, company := t.Context(), rpc.NewBoard(client), t.Name()
		_, err := board.QR(ctx, company)
		require.ErrorIs(t, err, rpc.ErrNotPublished)

		qr := rpc.QR{Code: "2@abc", Attempt: 2, ExpiresAt: time.Now().Add(time.Minute).UTC().Truncate(time.Millisecond)}
		require.NoError(t, board.PublishQR(ctx, company, qr))
		got, err := board.QR(ctx, company)
		require.NoError(t, err)
		require.Equal(t, qr, got)

		code := rpc.PairingCode{Code: "ABCD-EFGH", Phone: "79001234567", ExpiresAt: qr.ExpiresAt}
		require.NoError(t, board.PublishPairingCode(ctx, company, code))
		shown, err := board.PairingCode(ctx, company)
		require.NoError(t, err)
		require.Equal(t, code, shown)

		_, err = board.QR(ctx, company+"-other")
		require.ErrorIs(t, err, rpc.ErrNotPublished)

		require.NoError(t, board.Clear(ctx, company))
		_, err = board.PairingCode(ctx, company)
		require.ErrorIs(t, err, rpc.ErrNotPublished)
		ttl, err := client.TTL(ctx, "wafleet:{"+company+"}:qr").Result()
		require.NoError(t, err)
		require.Negative(t, ttl)
	})
}

func TestWhatIsExpiredIsNotShown(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		board := rpc.NewBoard(client)
		require.NoError(t, board.PublishQR(t.Context(), t.Name(), rpc.QR{Code: "old", ExpiresAt: time.Now().Add(-time.Second)}))
		_, err := board.QR(t.Context(), t.Name())
		require.ErrorIs(t, err, rpc.ErrNotPublished)
	})
}

func TestNudgesArrive(t *testing.T) {
	t.Parallel()
	onEveryRedis(t, func(t *testing.T, client redis.UniversalClient) {
		t.Helper()
		ctx, sessions, outboxes := t.Context(), make(chan string, 64), make(chan string, 64)
		hear := func(heard chan<- string) func(id string) {
			return func(id string) {
				select {
				case heard <- id:
				default:
				}
			}
		}
		listener := rpc.NewListener(client, slog.New(slog.DiscardHandler), rpc.Hints{Session: hear(sessions), Outbox: hear(outboxes)})
		require.NoError(t, listener.Start(ctx))
		board := rpc.NewBoard(client)
		await := func(nudge func(ctx context.Context, companyID string) error, heard <-chan string, company string) {
			require.Eventually(t, func() bool { // until the subscription is there
				require.NoError(t, nudge(ctx, company))
				select {
				case id := <-heard:
					return id == company
				default:
					return false
				}
			}, 5*time.Second, 10*time.Millisecond)
		}
		await(board.Nudge, sessions, t.Name()+"/session")
		await(board.NudgeOutbox, outboxes, t.Name()+"/outbox")
		require.NoError(t, listener.Stop(ctx))
		require.NoError(t, listener.Stop(ctx), "twice")
	})
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	board := rpc.NewBoard(connect(t, "redis://"+server.Addr()))
	server.Close()
	_, err := board.QR(t.Context(), "a")
	require.Error(t, err)
	require.NotErrorIs(t, err, rpc.ErrNotPublished)
	require.Error(t, board.Nudge(t.Context(), "a"))
	require.Error(t, board.Clear(t.Context(), "a"))
}
