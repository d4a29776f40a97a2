package api

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// counters are what Prometheus is told of the API.
type counters struct {
	accepts  *prometheus.CounterVec
	requests *prometheus.HistogramVec
}

func newCounters(registry prometheus.Registerer) *counters {
	c := &counters{
		accepts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "wafleet_accepts_total", Help: "Sends that the API was asked for, by what came of it.",
		}, []string{"result"}),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "wafleet_api_request_seconds", Help: "How long the API took to answer.",
			Buckets: []float64{.001, .0025, .005, .01, .02, .05, .1, .25, 1, 5, 30},
		}, []string{"route", "status"}),
	}
	registry.MustRegister(c.accepts, c.requests)
	return c
}

func (c *counters) accept(result string) { c.accepts.WithLabelValues(result).Inc() }

// request counts an answer; an empty pattern stands for all routes that do not exist.
func (c *counters) request(pattern string, status int, took time.Duration) {
	c.requests.WithLabelValues(pattern, strconv.Itoa(status)).Observe(took.Seconds())
}
