package actor

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wafleet/shared/session"
)

// metrics are the host's counters. Their names are part of the documented surface.
type metrics struct {
	sends    *prometheus.CounterVec
	duration prometheus.Histogram
	resends  prometheus.Counter
	inbox    *prometheus.CounterVec
	sessions *prometheus.GaugeVec
	logins   atomic.Int64
	breaker  prometheus.Gauge
	connects *prometheus.CounterVec
	files    *prometheus.CounterVec
}

// Logins is how often a session of this host has come online so far.
func (f *Fleet) Logins() int64 { return f.deps.metrics.logins.Load() }

func newMetrics(registry prometheus.Registerer) *metrics {
	m := &metrics{
		sends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_sends_total", Help: "Attempts to send a message, by how they ended.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "wafleet_send_duration_seconds", Help: "From the start of an attempt to the server's ack.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 15, 30},
		}),
		resends: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "wafleet_resends_total", Help: "Attempts that repeated a message under its id, because it was unconfirmed.",
		}),
		inbox: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_inbound_total", Help: "Incoming messages, by what became of them.",
		}, []string{"result"}),
		sessions: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "wafleet_sessions", Help: "Sessions that this host looks after, by state.",
		}, []string{"state"}),
	}
	m.breaker = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "wafleet_breaker_open", Help: "1 while log-outs are not believed, because too many came at once.",
	})
	m.connects = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wafleet_connects_total", Help: "Connects to WhatsApp, by whether they were answered with a login or a code.",
	}, []string{"result"})
	m.files = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "wafleet_downloads_total", Help: "Attempts at files of incoming messages, by what became of them.",
	}, []string{"result"})
	for _, s := range session.States() {
		m.sessions.WithLabelValues(string(s)) // shown from the start, as zero
	}
	registry.MustRegister(m.sends, m.duration, m.resends, m.inbox, m.sessions, m.breaker, m.connects, m.files)
	return m
}

func (m *metrics) sent(err error, took time.Duration) {
	result := "sent"
	var failed *SendError
	switch {
	case err == nil:
		m.duration.Observe(took.Seconds())
	case errors.As(err, &failed):
		result = failed.Reason
	default:
		result = "no_ack"
	}
	m.sends.WithLabelValues(result).Inc()
}

// moved counts a session in its new state; an empty state is none.
func (m *metrics) moved(from, to session.State) {
	if from != "" {
		m.sessions.WithLabelValues(string(from)).Dec()
	}
	if to == session.Connected && from != to {
		m.logins.Add(1)
	}
	if to != "" {
		m.sessions.WithLabelValues(string(to)).Inc()
	}
}

func (m *metrics) connected(result string) { m.connects.WithLabelValues(result).Inc() }

func (m *metrics) breakerOpen(open bool) {
	value := 0.0
	if open {
		value = 1
	}
	m.breaker.Set(value)
}

func (m *metrics) inbound(result string) { m.inbox.WithLabelValues(result).Inc() }

func (m *metrics) downloaded(result string) { m.files.WithLabelValues(result).Inc() }
