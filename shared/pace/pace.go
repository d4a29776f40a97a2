package pace

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// timeout bounds every command: a dial must not wait for a Redis that hangs.
	timeout = 50 * time.Millisecond
	// retry is how long a failed Redis is left alone.
	retry = time.Second
	// window is how long connects have to succeed before the rate grows.
	window = 30 * time.Second
	// cooldown is the least time between two halvings: what fails in it was begun before the first.
	cooldown = 5 * time.Second
	// fewFailures do not halve the rate, however few connects there were: some sessions fail for reasons of their own.
	fewFailures = 2
	// slowest is where halving ends, in connects a second.
	slowest = 0.2
)

// Config says how fast an address may connect.
type Config struct {
	Address string  // name of the egress address; hosts with the same name share
	Start   float64 // connects a second to begin with
	Most    float64 // where growth ends; 0: at Start
}

// Pace hands out the slots of one address. It is safe for concurrent use.
type Pace struct {
	redis  redis.UniversalClient
	cfg    Config
	logger *slog.Logger

	mu       sync.Mutex
	hosts    int
	own      state
	failedAt time.Time // of Redis; zero once it has answered again
}

// New returns the pace of an address, or nil where cfg.Start sets no limit. Without a client the host is alone with its
// part of the rate.
func New(client redis.UniversalClient, cfg Config, logger *slog.Logger) *Pace {
	if cfg.Start <= 0 {
		return nil
	}
	cfg.Address = cmp.Or(cfg.Address, "default")
	cfg.Most = max(cfg.Most, cfg.Start)
	return &Pace{redis: client, cfg: cfg, logger: logger, hosts: 1}
}

// Share says between how many hosts the rate is split while Redis is away.
func (p *Pace) Share(hosts int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts = max(hosts, 1)
}

// Take reserves the next slot and returns how long it is until then. Good and bad are the connects that succeeded and
// failed since the last call.
func (p *Pace) Take(ctx context.Context, good, bad int) (wait time.Duration) {
	wait, _ = p.take(ctx, good, bad)
	return wait
}

func (p *Pace) take(ctx context.Context, good, bad int) (wait time.Duration, rate float64) {
	if p.askable() {
		wait, rate, err := p.shared(ctx, good, bad)
		if err == nil {
			p.answered(ctx)
			return wait, rate
		}
		p.failed(ctx, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	hosts := float64(p.hosts)
	wait = p.own.take(time.Now(), p.cfg.Start/hosts, p.cfg.Most/hosts, good, bad)
	return wait, p.own.rate
}

func (p *Pace) askable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.redis != nil && time.Since(p.failedAt) >= retry
}

func (p *Pace) failed(ctx context.Context, err error) {
	p.mu.Lock()
	first := p.failedAt.IsZero()
	p.failedAt = time.Now()
	if first {
		p.own = state{}
	}
	p.mu.Unlock()
	if first {
		p.logger.WarnContext(ctx, "pace.alone", "error", err)
	}
}

func (p *Pace) answered(ctx context.Context) {
	p.mu.Lock()
	back := !p.failedAt.IsZero()
	p.failedAt = time.Time{}
	p.mu.Unlock()
	if back {
		p.logger.InfoContext(ctx, "pace.shared")
	}
}

// script is state.take in Redis, with its clock.
var script = redis.NewScript(`
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + tonumber(clock[2]) / 1000
local start, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local window, cooldown, few, slowest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local had = redis.call('HMGET', KEYS[1], 'rate', 'slot', 'since', 'halved', 'good', 'bad')
local rate = math.min(tonumber(had[1]) or start, most)
local slot, since, halved = tonumber(had[2]) or 0, tonumber(had[3]) or now, tonumber(had[4]) or 0
local good, bad = (tonumber(had[5]) or 0) + tonumber(ARGV[3]), (tonumber(had[6]) or 0) + tonumber(ARGV[4])
if bad > few and bad * 100 > good + bad then
	if now - halved >= cooldown then
		rate = math.max(rate / 2, math.min(start, slowest))
		halved = now
	end
	since, good, bad = now, 0, 0
elseif now - since >= window then
	if good > 0 then
		rate = math.min(rate + 1, most)
	end
	since, good, bad = now, 0, 0
end
local interval = 1000 / rate
local burst = math.max(math.floor(rate) - 1, 0) * interval
slot = math.max(slot, now)
local wait = math.max(slot - burst - now, 0)
slot = slot + interval
redis.call('HSET', KEYS[1], 'rate', tostring(rate), 'slot', string.format('%.3f', slot), 'since', string.format('%.3f', since),
	'halved', string.format('%.3f', halved), 'good', tostring(good), 'bad', tostring(bad))
redis.call('PEXPIRE', KEYS[1], 3600000)
return {string.format('%.3f', wait), tostring(rate)}
`)

func (p *Pace) shared(ctx context.Context, good, bad int) (time.Duration, float64, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := script.Run(ctx, p.redis, []string{"wafleet:{" + p.cfg.Address + "}:pace"},
		p.cfg.Start, p.cfg.Most, good, bad, window.Milliseconds(), cooldown.Milliseconds(), fewFailures, slowest).StringSlice()
	if err != nil {
		return 0, 0, fmt.Errorf("take a slot: %w", err)
	}
	if len(answer) != 2 {
		return 0, 0, fmt.Errorf("take a slot: %d values", len(answer))
	}
	wait, err := strconv.ParseFloat(answer[0], 64)
	if err != nil {
		return 0, 0, fmt.Errorf("take a slot: %w", err)
	}
	rate, err := strconv.ParseFloat(answer[1], 64)
	if err != nil {
		return 0, 0, fmt.Errorf("take a slot: %w", err)
	}
	return time.Duration(wait * float64(time.Millisecond)), rate, nil
}
