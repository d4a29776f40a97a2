package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"wafleet/functions/app"
	"wafleet/functions/internal/apigw"
	"wafleet/shared/config"
	"wafleet/shared/queue"
	"wafleet/shared/queue/sqsqueue"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// errInsecureRedis says that Redis must not be talked to like that in production.
var errInsecureRedis = errors.New("REDIS_URL must have TLS (rediss://) and a password unless WAFLEET_ENV=dev")

// poolSize is how many connections a function keeps: it answers one request at a time.
const poolSize = 2

// API answers the events of API Gateway for the routes with this tag of the contract. It returns an exit code, and only if
// the function cannot start.
func API(ctx context.Context, environ []string, stderr io.Writer, tag string) int {
	function, err := Start(ctx, environ, tag)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // nobody is left to tell if this fails
		return 1
	}
	lambda.StartWithOptions(function.Handle, lambda.WithContext(ctx), lambda.WithEnableSIGTERM(function.Close))
	return 0
}

// Function is an API function that is ready to answer.
type Function struct {
	// Handle is what Lambda calls.
	Handle apigw.Handler

	close []func()
}

// Start connects to everything the environment names.
func Start(ctx context.Context, environ []string, tag string) (*Function, error) {
	f := &Function{}
	if err := f.start(ctx, environ, tag); err != nil {
		f.Close()
		return nil, fmt.Errorf("start function: %w", err)
	}
	return f, nil
}

// Close hangs up, the last connection first.
func (f *Function) Close() {
	for _, hangUp := range slices.Backward(f.close) {
		hangUp()
	}
	f.close = nil
}

func (f *Function) start(ctx context.Context, environ []string, tag string) error {
	settings, err := config.Load[config.Functions](environ)
	if err != nil {
		return err //nolint:wrapcheck // it says all there is to say
	}
	deps := app.Deps{Config: settings.API, Logger: slog.New(lambdacontext.NewLogHandler())}
	if deps.Redis, err = redisClient(settings); err != nil {
		return err
	}
	f.close = append(f.close, func() { _ = deps.Redis.Close() }) // nothing depends on it any more
	if deps.Pool, err = postgres(ctx, settings.DatabaseURL); err != nil {
		return err
	}
	f.close = append(f.close, deps.Pool.Close)
	if err := store.CheckSchema(ctx, deps.Pool); err != nil {
		return fmt.Errorf("check database: %w", err)
	}
	if deps.Vault, err = masterVault(settings.MasterKey, deps.Pool); err != nil {
		return err
	}
	if deps.Queue, err = queues(ctx, settings, deps); err != nil {
		return err
	}
	functions, err := app.New(ctx, deps)
	if err != nil {
		return fmt.Errorf("make API: %w", err)
	}
	f.Handle = apigw.Wrap(functions.Handler(tag))
	return nil
}

func queues(ctx context.Context, settings config.Functions, deps app.Deps) (queue.Queue, error) {
	installation, err := store.EnsureInstallation(ctx, deps.Pool, 0)
	if err != nil {
		return nil, fmt.Errorf("find installation: %w", err)
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("load AWS settings: %w", err)
	}
	q, err := sqsqueue.New(sqsqueue.Config{AWS: aws, Endpoint: settings.SQSEndpoint, Prefix: settings.QueuePrefix},
		queue.Definitions(installation.Shards), deps.Logger)
	if err != nil {
		return nil, fmt.Errorf("define queues: %w", err)
	}
	return q, nil
}

// postgres opens a small pool that works behind RDS Proxy and PgBouncer: nothing is prepared, nothing belongs to a session.
func postgres(ctx context.Context, url string) (*pgxpool.Pool, error) {
	settings, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read DATABASE_URL: %w", err)
	}
	settings.MaxConns = poolSize
	settings.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
	pool, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("connect to database: %w", err)
	}
	return pool, nil
}

// redisClient makes a client whose commands end with their context. In production it insists on TLS and a password.
func redisClient(settings config.Functions) (redis.UniversalClient, error) {
	options, err := redis.ParseURL(settings.RedisURL)
	if err != nil {
		return nil, fmt.Errorf("read REDIS_URL: %w", err)
	}
	if !settings.Mode.Dev() && (options.TLSConfig == nil || options.Password == "") {
		return nil, errInsecureRedis
	}
	options.ContextTimeoutEnabled, options.MaxRetries, options.DialTimeout = true, -1, time.Second
	return redis.NewClient(options), nil
}

func masterVault(masterKey string, pool *pgxpool.Pool) (*vault.Vault, error) {
	key, err := hex.DecodeString(masterKey)
	if err != nil {
		return nil, fmt.Errorf("read MASTER_KEY: %w", err)
	}
	wrapper, err := vault.NewLocal(key)
	if err != nil {
		return nil, fmt.Errorf("use MASTER_KEY: %w", err)
	}
	return vault.New(wrapper, store.NewKeyring(pool)), nil
}
