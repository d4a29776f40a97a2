package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// drainTimeout bounds the end of a host.
const drainTimeout = 40 * time.Second

// hostName is the name of the host's program.
const hostName = "connhost"

// Host is a connection host.
type Host struct {
	*Process

	rig     *Rig
	address string // of its metrics
}

// AddHost starts a connection host of that name, with more settings than those of the rig, and returns at once. Its name
// may be that of one that has ended.
func (r *Rig) AddHost(ctx context.Context, name string, settings ...string) (*Host, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	environ := append(r.shared(),
		"HOST_LISTEN="+address, "HOST_PEER_LISTEN=127.0.0.1:0", "QUEUE=postgres", "CONNECT_RATE=0",
		"WHATSAPP_ENDPOINT="+r.root.Endpoint, "WHATSAPP_ROOT_CA="+r.rootCA, "WHATSAPP_NOISE_ROOT="+r.root.NoiseRoot,
	)
	process, err := r.start(name, append(environ, settings...), filepath.Join(r.options.Bin, hostName))
	if err != nil {
		return nil, err
	}
	h := &Host{Process: process, rig: r, address: address}
	r.hosts = append(r.hosts, h)
	r.processes[name] = h.PID()
	return h, nil
}

// Await returns when the host answers and the API can accept sends.
func (h *Host) Await(ctx context.Context) error {
	return h.await(ctx, func(ctx context.Context) error {
		if _, err := h.Metrics(ctx); err != nil {
			return err
		}
		return h.rig.api.Healthy(ctx)
	})
}

// Stop ends the host, which drains first.
func (h *Host) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	h.forget()
	return h.stop(ctx)
}

// Kill ends the host without a word.
func (h *Host) Kill() error {
	h.forget()
	err := h.Signal(syscall.SIGKILL)
	<-h.process.Done()
	return err
}

func (h *Host) forget() {
	h.rig.hosts = slices.DeleteFunc(h.rig.hosts, func(other *Host) bool { return other == h })
	delete(h.rig.processes, h.name)
}

// stopHosts ends all hosts together.
func (r *Rig) stopHosts(ctx context.Context) error {
	hosts := slices.Clone(r.hosts)
	stopped := make(chan error, len(hosts))
	r.hosts = nil
	for _, h := range hosts {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, drainTimeout)
			defer cancel()
			stopped <- h.stop(ctx)
		}()
	}
	var errs []error
	for range hosts {
		errs = append(errs, <-stopped)
	}
	return errors.Join(errs...)
}

// StartHost starts the only host and returns at once. AwaitHost waits for it.
func (r *Rig) StartHost(ctx context.Context) (*Process, error) {
	host, err := r.AddHost(ctx, hostName)
	if err != nil {
		return nil, err
	}
	r.host = host
	return host.Process, nil
}

// AwaitHost returns when the only host answers and the API can accept sends.
func (r *Rig) AwaitHost(ctx context.Context) error { return r.host.Await(ctx) }

// StopHost ends the only host, which drains first. It does nothing if none runs.
func (r *Rig) StopHost(ctx context.Context) error {
	if r.host == nil {
		return nil
	}
	host := r.host
	r.host = nil
	return host.Stop(ctx)
}

// HostLog is the end of the log of all hosts: what they warned of.
func (r *Rig) HostLog() string {
	return (&Process{log: filepath.Join(r.dir, hostName+".log")}).tail()
}

// Metrics returns the figures of the only host that have no labels, by name.
func (r *Rig) Metrics(ctx context.Context) (map[string]float64, error) { return r.host.Metrics(ctx) }

// Metrics returns the figures of the host that have no labels, by name.
func (h *Host) Metrics(ctx context.Context) (map[string]float64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.address+"/metrics", nil)
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
