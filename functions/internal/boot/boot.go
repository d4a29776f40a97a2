package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	handler, err := Handler(ctx, environ, tag)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err) // nobody is left to tell if this fails
		return 1
	}
	lambda.StartWithOptions(handler, lambda.WithContext(ctx))
	return 0
}

// Handler connects to everything the environment names and returns the Lambda handler.
func Handler(ctx context.Context, environ []string, tag string) (apigw.Handler, error) {
	settings, err := config.Load[config.Functions](environ)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	deps, err := connect(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	functions, err := app.New(ctx, deps)
	if err != nil {
		return nil, fmt.Errorf("start function: %w", err)
	}
	return apigw.Wrap(functions.Handler(tag)), nil
}

func connect(ctx context.Context, settings config.Functions) (app.Deps, error) {
	deps := app.Deps{Config: settings.API, Logger: slog.New(lambdacontext.NewLogHandler())}
	var err error
	if deps.Pool, err = postgres(ctx, settings.DatabaseURL); err != nil {
		return deps, err
	}
	if err := store.CheckSchema(ctx, deps.Pool); err != nil {
		return deps, fmt.Errorf("check database: %w", err)
	}
	if deps.Redis, err = redisClient(settings); err != nil {
		return deps, err
	}
	if deps.Vault, err = masterVault(settings.MasterKey, deps.Pool); err != nil {
		return deps, err
	}
	installation, err := store.EnsureInstallation(ctx, deps.Pool, 0)
	if err != nil {
		return deps, fmt.Errorf("find installation: %w", err)
	}
	aws, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return deps, fmt.Errorf("load AWS settings: %w", err)
	}
	deps.Queue, err = sqsqueue.New(sqsqueue.Config{AWS: aws, Endpoint: settings.SQSEndpoint, Prefix: settings.QueuePrefix},
		queue.Definitions(installation.Shards), deps.Logger)
	if err != nil {
		return deps, fmt.Errorf("define queues: %w", err)
	}
	return deps, nil
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
