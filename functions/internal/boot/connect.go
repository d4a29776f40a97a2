package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"wafleet/functions/app"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/queue/sqsqueue"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// errInsecureRedis says that Redis must not be talked to like that in production.
var errInsecureRedis = errors.New("REDIS_URL must have TLS (rediss://) and a password unless WAFLEET_ENV=dev")

// poolSize is how many connections a function keeps: it answers one request at a time.
const poolSize = 2

// connect opens everything the settings name and leaves it to r to be closed, also when it fails half-way.
func (r *Running) connect(ctx context.Context, settings config.Functions) (app.Deps, error) {
	deps := app.Deps{Config: settings.API, Logger: logger(settings.LogLevel)}
	client, err := redisClient(settings)
	if err != nil {
		return deps, err
	}
	deps.Redis = client
	r.close = append(r.close, func() { _ = client.Close() }) // nothing depends on it any more
	if deps.Pool, err = postgres(ctx, settings.DatabaseURL); err != nil {
		return deps, err
	}
	r.close = append(r.close, deps.Pool.Close)
	if err := store.CheckSchema(ctx, deps.Pool); err != nil {
		return deps, fmt.Errorf("check database: %w", err)
	}
	if deps.Vault, err = masterVault(settings.MasterKey, deps.Pool); err != nil {
		return deps, err
	}
	if deps.Queue, err = queues(ctx, settings, deps); err != nil {
		return deps, err
	}
	deps.Media, err = media.Open(ctx, media.Config{
		Bucket: settings.Bucket, Folder: settings.Folder, Endpoint: settings.S3Endpoint,
	})
	return deps, err
}

// logger writes lines as CloudWatch and Lambda's own lines have them.
func logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{Level: level, ReplaceAttr: lambdacontext.ReplaceAttr}))
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
