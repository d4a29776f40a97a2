package tenants_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"wafleet/infra/internal/load"
	"wafleet/infra/internal/remote"
	"wafleet/infra/internal/tenants"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNumbersAreApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for n := range tenants.Most {
		id, phone, customer := tenants.Company(n)
		for _, name := range []string{id, phone, customer} {
			require.False(t, seen[name], name)
			seen[name] = true
		}
	}
	require.Equal(t, []load.Pair{{CompanyID: "bench-00000", Phone: "79020000000"}, {CompanyID: "bench-00001", Phone: "79020000001"}}, tenants.Pairs(2))
}

func TestLink(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var calls []string
	asked := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		body := make(map[string]any)
		_ = json.NewDecoder(r.Body).Decode(&body)
		call := r.Method + " " + r.URL.Path
		if asked[call]++; strings.HasSuffix(call, "/qr") && asked[call] == 1 {
			http.Error(w, "{}", http.StatusConflict) // not yet
			return
		}
		calls = append(calls, fmt.Sprint(call, " ", body["phone"], body["qr"]))
		_, _ = w.Write([]byte(`{"data":{"qr":"2@x"}}`))
	}))
	t.Cleanup(server.Close)
	api, simulator := remote.NewAPI(server.URL, "key"), remote.NewSimulator(server.URL)
	t.Cleanup(api.Close)
	t.Cleanup(simulator.Close)
	require.NoError(t, tenants.Link(t.Context(), api, simulator, 2))
	require.Len(t, calls, 12)
	require.True(t, slices.Contains(calls, "POST /phones 79020000001<nil>"), calls)
	require.True(t, slices.Contains(calls, "POST /phones/79010000001/scan <nil>2@x"), calls)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, tenants.Link(ctx, api, simulator, 1), context.Canceled)
}
