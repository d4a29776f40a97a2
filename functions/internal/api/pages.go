package api

import (
	_ "embed"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"wafleet/functions/internal/docs"
	"wafleet/shared/problem"
)

//go:embed index.html
var index []byte

// mountPages adds what is not part of the contract: the contract itself, its pages, and the metrics.
func (a *API) mountPages(mux *http.ServeMux) {
	mux.Handle("GET /openapi.yaml", docs.Contract())
	mux.Handle("GET /docs", docs.Page())
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(index) // the client is gone if this fails
	})
	metrics := promhttp.HandlerFor(a.registry, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		if p := callOf(r.Context()).principal; (p == nil || !p.IsAdmin()) && !fromHere(r) {
			a.fail(w, r, problem.Unauthorized.Saying("Metrics are for this machine and for admin keys"))
			return
		}
		metrics.ServeHTTP(w, r)
	})
}

// fromHere says that the request was made on this machine. One that a proxy on this machine passes on was not.
func fromHere(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	forwarded := r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != ""
	return err == nil && ip != nil && ip.IsLoopback() && !forwarded
}
