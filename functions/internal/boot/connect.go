package boot

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"wafleet/functions/app"
	"wafleet/shared/config"
	"wafleet/shared/media"
	"wafleet/shared/queue"
	"wafleet/shared/queue/sqsqueue"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
	"wafleet/shared/vault"
)

// poolSize is how many connections a function keeps: it answers one request at a time.
const poolSize = 2

// connect opens everything the settings name and leaves it to r to be closed, also when it fails half-way.
func (r *Running) connect(ctx context.Context, settings config.Functions) (app.Deps, error) {
	deps := app.Deps{Config: settings.API, Logger: logger(settings.LogLevel)}
	client, err := rpc.Open(settings.RedisURL, settings.Mode.Dev())
	if err != nil {
		return deps, err
	}
	deps.Redis = client
	r.close = append(r.close, func() { _ = client.Close() }) // nothing depends on it any more
	if deps.Pool, err = store.Open(ctx, settings.DatabaseURL, poolSize, behindProxy); err != nil {
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

// behindProxy lets a pool work behind RDS Proxy and PgBouncer: nothing is prepared, nothing belongs to a session.
func behindProxy(pool *pgxpool.Config) {
	pool.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec
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
