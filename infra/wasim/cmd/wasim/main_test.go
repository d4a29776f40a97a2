package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is what the program prints.
type screen struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want int
		says string
	}{
		{[]string{"-h"}, exitOK, "-listen"},
		{[]string{"-fire"}, exitUsage, "-fire"},
		{[]string{"extra"}, exitUsage, "extra"},
		{[]string{"-control", "0.0.0.0:0"}, exitUsage, "loopback"},
		{[]string{"-listen", "nowhere"}, exitUsage, "port"},
		{[]string{"-listen", "127.0.0.1:0", "-control", "127.0.0.1:0", "-data", "/dev/null/x"}, exitFailed, "data folder"},
	} {
		var errs screen
		require.Equal(t, test.want, run(t.Context(), test.args, io.Discard, &errs), test.args)
		require.Contains(t, errs.String(), test.says)
		require.Less(t, strings.Count(errs.String(), "\n"), 30)
	}
}

func TestRunUntilItIsToldToStop(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	var out, errs screen
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"-listen", "127.0.0.1:0", "-control", "127.0.0.1:0", "-data", dir, "-v"}, &out, &errs)
	}()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "control at http") }, 10*time.Second, time.Millisecond)
	_, url, _ := strings.Cut(strings.TrimSpace(out.String()), "control at ")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/root", nil)
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	var root struct{ NoiseRoot, CAPEM, Endpoint string }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&root))
	require.Len(t, root.NoiseRoot, 64)
	require.Contains(t, root.CAPEM, "BEGIN CERTIFICATE")
	require.Contains(t, out.String(), root.Endpoint)
	cancel()
	require.Equal(t, exitOK, <-code, errs.String())
	_, err = os.Stat(filepath.Join(dir, "state.db"))
	require.NoError(t, err)
}
