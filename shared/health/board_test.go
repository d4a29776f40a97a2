package health_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"wafleet/shared/health"
	"wafleet/shared/session"
)

// onEveryBoard runs a test against each kind of board that this machine has, each time an empty one.
func onEveryBoard(t *testing.T, test func(t *testing.T, board health.Board)) {
	t.Helper()
	t.Run("redis in process", func(t *testing.T) {
		t.Parallel()
		test(t, health.NewRedisBoard(connect(t, "redis://"+miniredis.RunT(t).Addr())))
	})
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		client := connect(t, serverFor(t, "TEST_REDIS_URL"))
		claim(t, client)
		test(t, health.NewRedisBoard(client))
	})
	t.Run("dynamodb", func(t *testing.T) {
		t.Parallel()
		board, _, _ := newTable(t)
		test(t, board)
	})
}

// serverFor is where a server is, or the reason to skip.
func serverFor(t *testing.T, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		if os.Getenv("REQUIRE_ALL") == "1" {
			t.Fatal(variable + " is not set: run make test")
		}
		t.Skip(variable + " is not set: run make test")
	}
	return url
}

func connect(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// claim keeps the tests that share redis-server, whose board is one for all, apart.
func claim(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	const lock = "wafleet:test:health"
	require.Eventually(t, func() bool {
		ok, err := client.SetNX(t.Context(), lock, "1", time.Minute).Result()
		return err == nil && ok
	}, time.Minute, 10*time.Millisecond)
	clearBoard := func() {
		client.Del(context.WithoutCancel(t.Context()), "wafleet:{hosts}", "wafleet:{hosts}:a", "wafleet:{hosts}:b")
	}
	clearBoard()
	t.Cleanup(func() {
		clearBoard()
		client.Del(context.WithoutCancel(t.Context()), lock)
	})
}

// newTable makes a table with the key that the board asks for.
func newTable(t *testing.T) (*health.DynamoBoard, *dynamodb.Client, string) {
	t.Helper()
	url := serverFor(t, "TEST_DYNAMODB_URL")
	transport := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(transport.CloseIdleConnections)
	config := aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider(rand.Text(), "secret", ""),
		HTTPClient: &http.Client{Transport: transport},
	}
	client := dynamodb.NewFromConfig(config, func(o *dynamodb.Options) { o.BaseEndpoint = &url })
	table := "t" + rand.Text()
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &table, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{{AttributeName: aws.String(health.HostAttribute), AttributeType: types.ScalarAttributeTypeS}},
		KeySchema:            []types.KeySchemaElement{{AttributeName: aws.String(health.HostAttribute), KeyType: types.KeyTypeHash}},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := client.DeleteTable(context.WithoutCancel(t.Context()), &dynamodb.DeleteTableInput{TableName: &table})
		require.NoError(t, err)
	})
	_, err = client.UpdateTimeToLive(t.Context(), &dynamodb.UpdateTimeToLiveInput{
		TableName:               &table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: aws.String(health.ExpiryAttribute), Enabled: aws.Bool(true)},
	})
	require.NoError(t, err)
	return health.NewDynamoBoard(config, table, url), client, table
}

func report(id string) health.Report {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return health.Report{
		HostID: id, Version: "v1", Draining: true, Shards: 3, Sockets: 7,
		Sessions: map[session.State]int{session.Connected: 7, session.Pairing: 1}, Load: 0.25, MemoryBytes: 120 << 20,
		StartedAt: now.Add(-time.Hour), ReportedAt: now,
	}
}

func TestReportsAreShownUntilWithdrawn(t *testing.T) {
	t.Parallel()
	onEveryBoard(t, func(t *testing.T, board health.Board) {
		t.Helper()
		ctx := t.Context()
		shown, err := board.Reports(ctx)
		require.NoError(t, err)
		require.Empty(t, shown)

		first, second := report("a"), report("b")
		require.NoError(t, board.Put(ctx, second))
		require.NoError(t, board.Put(ctx, first))
		shown, err = board.Reports(ctx)
		require.NoError(t, err)
		require.Equal(t, []health.Report{first, second}, shown, "in order, as they were written")

		first.Draining, first.Sockets, first.Sessions = false, 0, map[session.State]int{}
		require.NoError(t, board.Put(ctx, first))
		shown, err = board.Reports(ctx)
		require.NoError(t, err)
		require.Equal(t, []health.Report{first, second}, shown, "a report replaces the one before")

		require.NoError(t, board.Withdraw(ctx, "b"))
		require.NoError(t, board.Withdraw(ctx, "b"), "twice")
		require.NoError(t, board.Withdraw(ctx, "never there"))
		shown, err = board.Reports(ctx)
		require.NoError(t, err)
		require.Equal(t, []health.Report{first}, shown)
	})
}

// More hosts than anybody has are more than one page of a scan.
func TestManyReports(t *testing.T) {
	t.Parallel()
	board, _, _ := newTable(t)
	version := strings.Repeat("v", 100<<10) // 1 MB is a page
	for n := range 15 {
		r := report(fmt.Sprintf("host-%02d", n))
		r.Version = version
		require.NoError(t, board.Put(t.Context(), r))
	}
	shown, err := board.Reports(t.Context())
	require.NoError(t, err)
	require.Len(t, shown, 15)
}

func TestAnOldReportIsNotShown(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := miniredis.RunT(t)
		client := connect(t, "redis://"+server.Addr())
		board := health.NewRedisBoard(client)
		require.NoError(t, board.Put(t.Context(), report("a")))
		server.FastForward(health.Lifetime - time.Second)
		require.NoError(t, board.Put(t.Context(), report("b")))
		server.FastForward(2 * time.Second)
		shown, err := board.Reports(t.Context())
		require.NoError(t, err)
		require.Len(t, shown, 1)
		require.Equal(t, "b", shown[0].HostID)
		ids, err := client.SMembers(t.Context(), "wafleet:{hosts}").Result()
		require.NoError(t, err)
		require.Equal(t, []string{"b"}, ids, "what is gone is forgotten")
	})
	t.Run("dynamodb", func(t *testing.T) {
		t.Parallel()
		board, client, table := newTable(t)
		old := report("a")
		old.ReportedAt = old.ReportedAt.Add(-health.Lifetime - time.Second)
		require.NoError(t, board.Put(t.Context(), old))
		require.NoError(t, board.Put(t.Context(), report("b")))
		shown, err := board.Reports(t.Context())
		require.NoError(t, err)
		require.Len(t, shown, 1)
		require.Equal(t, "b", shown[0].HostID)

		item, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{
			TableName: &table, Key: map[string]types.AttributeValue{health.HostAttribute: &types.AttributeValueMemberS{Value: "a"}},
		})
		require.NoError(t, err)
		require.Equal(t, &types.AttributeValueMemberN{Value: "7"}, item.Item["sockets"], "for who reads the table without us")
		expiry, ok := item.Item[health.ExpiryAttribute].(*types.AttributeValueMemberN)
		require.True(t, ok)
		require.Equal(t, strconv.FormatInt(old.ReportedAt.Add(health.Lifetime).Unix(), 10), expiry.Value)
	})
}

func TestABoardThatIsGone(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	board := health.NewRedisBoard(connect(t, "redis://"+server.Addr()+"?max_retries=-1"))
	server.Close()
	require.Error(t, board.Put(t.Context(), report("a")))
	require.Error(t, board.Withdraw(t.Context(), "a"))
	_, err := board.Reports(t.Context())
	require.Error(t, err)
}

func TestProcess(t *testing.T) {
	t.Parallel()
	p := health.NewProcess()
	require.WithinDuration(t, time.Now(), p.StartedAt(), time.Minute)
	work := []byte("work")
	require.Eventually(t, func() bool {
		for range 10_000 {
			sum := sha256.Sum256(work)
			work = sum[:]
		}
		return p.Load() > 0
	}, 10*time.Second, time.Millisecond)
	require.Greater(t, health.Memory(), int64(1<<20))
}
