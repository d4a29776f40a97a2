// Package ratelimit gives every company a bucket of sends that refills steadily.
//
// The buckets are in Redis, so that all processes share them. Redis may vanish: then each process goes on with buckets of its
// own, which it has kept in step as far as it saw the company's calls, and says so (Degraded). No call waits for Redis
// longer than 50 ms, and after a failure none waits at all for a second.
package ratelimit
