package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startKind starts one kind of server, or skips the test with the reason that testenv would give.
func startKind(t *testing.T, name string) *Server {
	t.Helper()
	for _, kind := range All() {
		if kind.Name != name {
			continue
		}
		running, failed := Start(t.Context(), []Kind{kind})
		if len(failed) > 0 {
			if os.Getenv("REQUIRE_ALL") == "1" {
				t.Fatal(failed[0])
			}
			t.Skip(failed[0])
		}
		require.NoError(t, running[0].Err())
		return running[0]
	}
	t.Fatalf("no kind %s", name)
	return nil
}

func stop(t *testing.T, server *Server) {
	t.Helper()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	require.NoError(t, server.Stop(t.Context()))
	_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", address.Host)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	server := startKind(t, "postgres")
	conn, err := pgx.Connect(t.Context(), server.URL)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE DATABASE another")
	require.NoError(t, err, "tests make databases")
	require.NoError(t, conn.Close(t.Context()))
	stop(t, server)
}

func TestRedis(t *testing.T) {
	t.Parallel()
	server := startKind(t, "redis")
	address := strings.TrimSuffix(strings.TrimPrefix(server.URL, "redis://"), "/0")
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	for _, step := range []struct{ send, want string }{
		{"SET greeting hello", "+OK"},
		{`EVAL "return redis.call('GET','greeting')" 0`, "$5"},
	} {
		_, err = fmt.Fprintf(conn, "%s\r\n", step.send)
		require.NoError(t, err)
		line, err := reader.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, step.want, strings.TrimSpace(line))
	}
	_, err = fmt.Fprint(conn, "QUIT\r\n")
	require.NoError(t, err)
	require.NoError(t, conn.Close())
	stop(t, server)
}

func TestSQS(t *testing.T) {
	t.Parallel()
	server := startKind(t, "sqs")
	ask := func(query string) int {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/?"+query, nil)
		require.NoError(t, err)
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusBadRequest, ask("Action=GetQueueUrl&QueueName=jobs"))
	require.Equal(t, http.StatusOK, ask("Action=CreateQueue&QueueName=jobs"))
	require.Equal(t, http.StatusOK, ask("Action=GetQueueUrl&QueueName=jobs"))
	stop(t, server)
}

func TestDynamoDB(t *testing.T) {
	t.Parallel()
	server := startKind(t, "dynamodb")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("{}"))
	require.NoError(t, err)
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810.ListTables")
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=x")
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.JSONEq(t, `{"TableNames":[]}`, string(body))
	stop(t, server)
}

func TestPomAndVersionAgree(t *testing.T) {
	t.Parallel()
	require.Contains(t, string(dynamoDBPom), "<version>"+dynamoDBVersion+"</version>")
	require.Contains(t, string(elasticMQPom), "<version>"+elasticMQVersion+"</version>")
}

func TestStartGoesOnWithoutWhatCannotBeHad(t *testing.T) {
	t.Parallel()
	broken := errors.New("no program\nand more")
	kinds := []Kind{
		{"a", "Alpha", "TEST_A", func(context.Context) (*Server, error) { return nil, broken }},
		{"b", "Beta", "TEST_B", func(ctx context.Context) (*Server, error) {
			return launch(ctx, shell(ctx, "exec sleep 60", func(context.Context) error { return nil }))
		}},
	}
	running, failed := Start(t.Context(), kinds)
	require.Len(t, running, 1)
	require.Equal(t, "Beta", running[0].Kind.Title)
	require.Len(t, failed, 1)
	require.ErrorIs(t, failed[0], broken)
	require.EqualError(t, failed[0], "tests that need Alpha: no program; and more")
	require.NoError(t, Stop(t.Context(), running))
}

func TestServerThatEndsByItself(t *testing.T) {
	t.Parallel()
	server, err := launch(t.Context(), shell(t.Context(), "echo 'out of memory'; sleep 0.1; exit 3", func(context.Context) error { return nil }))
	require.NoError(t, err)
	server.Kind = Kind{Title: "Beta"}
	<-server.done
	require.ErrorContains(t, server.Err(), "Beta ended during the tests: exit status 3")
	require.ErrorContains(t, server.Err(), "out of memory")
	require.NoError(t, server.Stop(t.Context()))
}

func TestServerThatDoesNotStart(t *testing.T) {
	t.Parallel()
	never := func(context.Context) error { return errors.New("connection refused") }
	t.Run("ends", func(t *testing.T) {
		t.Parallel()
		_, err := launch(t.Context(), shell(t.Context(), "echo 'bad option'; exit 1", never))
		require.ErrorContains(t, err, "ended at once: exit status 1")
		require.ErrorContains(t, err, "bad option")
	})
	t.Run("hangs", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		var dir string
		_, err := launch(ctx, func(d string, _ int) (*exec.Cmd, func(context.Context) error, error) {
			dir = d
			return exec.CommandContext(context.WithoutCancel(ctx), "sleep", "60"), func(ctx context.Context) error {
				cancel()
				return never(ctx)
			}, nil
		})
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "connection refused")
		require.NoDirExists(t, dir, "nothing half-started is left")
	})
	t.Run("is not there", func(t *testing.T) {
		t.Parallel()
		_, err := launch(t.Context(), func(string, int) (*exec.Cmd, func(context.Context) error, error) {
			return exec.CommandContext(context.WithoutCancel(t.Context()), "/nonexistent/server"), never, nil
		})
		require.ErrorIs(t, err, os.ErrNotExist)
	})
}

func TestPingRedisMistrustsOthers(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n"))
		_ = conn.Close()
	}()
	require.Error(t, pingRedis(t.Context(), listener.Addr().String()))
	<-answered
	require.NoError(t, listener.Close())
	require.ErrorContains(t, pingRedis(t.Context(), listener.Addr().String()), "connect")
}

func TestMissing(t *testing.T) {
	t.Parallel()
	err := missing("mvn", "maven", "maven-brew")
	require.ErrorContains(t, err, "no mvn on this machine, install it with: ")
}

func TestLastLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, lastLine(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, logName), []byte("one\ntwo\n"), 0o600))
	require.EqualError(t, lastLine(dir), "two")
	require.Equal(t, "[ERROR] first", firstError("[INFO] x\n[ERROR] first\n[ERROR] second\n"))
}

func shell(ctx context.Context, script string, ready func(context.Context) error) func(string, int) (*exec.Cmd, func(context.Context) error, error) {
	return func(string, int) (*exec.Cmd, func(context.Context) error, error) {
		return exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", script), ready, nil
	}
}
