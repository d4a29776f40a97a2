package rpc

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// errInsecure says that Redis must not be talked to like that in production.
var errInsecure = errors.New("REDIS_URL must have a password and, unless Redis is on this machine, TLS (rediss://); or WAFLEET_ENV=dev")

// Open makes a client whose commands end with their context and are not repeated: 50 ms are 50 ms. Nothing is connected yet.
// In production it insists on a password, and on TLS where others could listen.
func Open(url string, dev bool) (redis.UniversalClient, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	if !dev && (options.Password == "" || options.TLSConfig == nil && !loopback(options.Addr)) {
		return nil, errInsecure
	}
	options.ContextTimeoutEnabled, options.MaxRetries, options.DialerRetries, options.DialTimeout = true, -1, 1, time.Second
	return redis.NewClient(options), nil
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
