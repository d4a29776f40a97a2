package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/shared/rpc"
)

func TestOpenInProduction(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"rediss://:secret@redis.example:6379": "",
		"redis://:secret@127.0.0.1:6379":      "", // nobody can listen on the way
		"redis://:secret@redis.example:6379":  "TLS",
		"rediss://redis.example:6379":         "password",
		"redis://127.0.0.1:6379":              "password",
		"http://redis.example":                "REDIS_URL",
	} {
		client, err := rpc.Open(url, false)
		if want == "" {
			require.NoError(t, err, url)
			require.NoError(t, client.Close())
			continue
		}
		require.ErrorContains(t, err, want, url)
	}
	client, err := rpc.Open("redis://redis.example:6379", true)
	require.NoError(t, err)
	require.NoError(t, client.Close())
}
