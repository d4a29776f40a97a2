package rig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// drainTimeout bounds the end of a host.
const drainTimeout = 40 * time.Second

// hostName is the name of the host's program.
const hostName = "connhost"

// StartHost starts a connection host and returns at once. AwaitHost waits for it.
func (r *Rig) StartHost(ctx context.Context) (*Process, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	r.hostAddress = address
	host, err := r.start(hostName, append(r.shared(),
		"HOST_LISTEN="+address, "HOST_PEER_LISTEN=127.0.0.1:0", "QUEUE=postgres", "CONNECT_RATE=0",
		"WHATSAPP_ENDPOINT="+r.root.Endpoint, "WHATSAPP_ROOT_CA="+r.rootCA, "WHATSAPP_NOISE_ROOT="+r.root.NoiseRoot,
	), filepath.Join(r.options.Bin, hostName))
	if err != nil {
		return nil, err
	}
	r.host, r.processes[hostName] = host, host.PID()
	return host, nil
}

// AwaitHost returns when the host answers and the API can accept sends.
func (r *Rig) AwaitHost(ctx context.Context) error {
	return r.host.await(ctx, func(ctx context.Context) error {
		if _, err := r.Metrics(ctx); err != nil {
			return err
		}
		return r.api.Healthy(ctx)
	})
}

// StopHost ends the host, which drains first. It does nothing if none runs.
func (r *Rig) StopHost(ctx context.Context) error {
	if r.host == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	host := r.host
	r.host = nil
	delete(r.processes, hostName)
	return host.stop(ctx)
}

// HostLog is the end of the log of all hosts: what they warned of.
func (r *Rig) HostLog() string {
	return (&Process{log: filepath.Join(r.dir, hostName+".log")}).tail()
}

// Metrics returns the figures of the host that have no labels, by name.
func (r *Rig) Metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.hostAddress+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	request.Close = true // the host does not live as long as this process
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return parseMetrics(response.Body)
}

func parseMetrics(text io.Reader) (map[string]float64, error) {
	metrics := make(map[string]float64)
	lines := bufio.NewScanner(text)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || strings.HasPrefix(name, "#") || strings.Contains(name, "{") {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("read metric %s: %w", name, err)
		}
		metrics[name] = number
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return metrics, nil
}
