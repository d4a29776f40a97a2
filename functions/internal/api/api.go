package api

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
	"wafleet/shared/config"
	"wafleet/shared/health"
	"wafleet/shared/media"
	"wafleet/shared/message"
	"wafleet/shared/queue"
	"wafleet/shared/ratelimit"
	"wafleet/shared/rpc"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
)

// Queue is the part of a queue.Queue that the API needs: sending, and a call that claims nothing to see whether it answers.
type Queue interface {
	Send(ctx context.Context, queue string, message queue.Message) error
	SendBatch(ctx context.Context, queue string, messages []queue.Message) error
	Extend(ctx context.Context, queue string, handles []string, visibility time.Duration) error
}

var _ Queue = queue.Queue(nil)

// Deps is what the API stands on.
type Deps struct {
	Store        *store.Store
	Vault        store.Sealer
	Queue        Queue
	Media        media.Store // nil: files are neither taken nor given
	Redis        redis.UniversalClient
	Installation store.Installation
	Config       config.API
	Logger       *slog.Logger
	Registry     *prometheus.Registry // served at /metrics
}

// API is the server of the contract.
type API struct {
	store    *store.Store
	queries  *db.Queries
	vault    store.Sealer
	queue    Queue
	redis    redis.UniversalClient
	board    *rpc.Board
	hosts    health.Board
	limiter  *ratelimit.Limiter
	codes    *ratelimit.Pairing
	live     *rpc.Caller
	contacts *contacts
	keys     *auth.Authenticator
	ids      message.IDs
	secret   []byte // of the installation
	shards   int
	targets  *webhook.Targets
	media    media.Store
	fetcher  *media.Fetcher
	voices   *media.Transcoder
	config   config.API
	logger   *slog.Logger
	started  time.Time

	registry *prometheus.Registry
	counts   *counters
	vitals   *vitals
}

var _ contract.StrictServerInterface = (*API)(nil)

// New returns the API. It starts nothing.
func New(d Deps) *API {
	targets := webhook.NewTargets(d.Config.Mode.Dev(), d.Config.AllowLoopbackTargets)
	a := &API{
		store: d.Store, queries: d.Store.Queries(), vault: d.Vault, queue: d.Queue, redis: d.Redis,
		board: rpc.NewBoard(d.Redis), hosts: health.NewRedisBoard(d.Redis), limiter: ratelimit.New(d.Redis, d.Logger),
		codes: ratelimit.NewPairing(d.Redis, d.Logger), keys: auth.New(d.Store.Pool()),
		live: rpc.NewCaller(d.Redis), contacts: newContacts(d.Redis, d.Logger),
		ids: message.NewIDs(d.Installation.IDSecret), secret: d.Installation.IDSecret, shards: d.Installation.Shards,
		targets: targets, media: d.Media, fetcher: media.NewFetcher(targets, nil), voices: media.FindTranscoder(d.Config.FFmpeg),
		config: d.Config, logger: d.Logger, started: time.Now(),
		registry: d.Registry, counts: newCounters(d.Registry),
	}
	a.vitals = newVitals(a)
	return a
}

// Handler serves the routes with these tags of the contract, or all routes and the pages beside them if none is named.
func (a *API) Handler(tags ...string) http.Handler {
	mux := http.NewServeMux()
	contract.HandlerWithOptions(
		contract.NewStrictHandlerWithOptions(a, nil, contract.StrictHTTPServerOptions{
			RequestErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
				a.fail(w, r, contract.AsBodyError(err))
			},
			ResponseErrorHandlerFunc: a.fail,
		}),
		contract.StdHTTPServerOptions{
			BaseURL: contract.BasePath, BaseRouter: only{mux, tags}, ErrorHandlerFunc: a.fail,
		},
	)
	if len(tags) == 0 {
		a.mountPages(mux)
	}
	return &edge{api: a, mux: mux}
}
