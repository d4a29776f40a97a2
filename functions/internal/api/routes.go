package api

import (
	"net/http"
	"slices"
	"strings"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
)

// route is what the edge knows of an operation; the contract says the same, and a test compares them.
type route struct {
	tag   string     // which function serves it
	scope auth.Scope // empty: needs no key
}

// routes has every operation by its pattern, without the base path.
var routes = map[string]route{
	"POST /send":                 {"messages", auth.Send},
	"POST /send-media":           {"messages", auth.Send},
	"POST /media":                {"messages", auth.Send},
	"GET /media/{id}":            {"messages", auth.Read},
	"PUT /media/{id}":            {"messages", ""},
	"POST /messages":             {"messages", auth.Send},
	"GET /messages":              {"messages", auth.Read},
	"DELETE /messages/{id}":      {"messages", auth.Send},
	"GET /messages/{id}":         {"messages", auth.Read},
	"POST /messages/{id}/read":   {"messages", auth.Send},
	"POST /chats/{phone}/typing": {"messages", auth.Send},
	"POST /contacts/check":       {"messages", auth.Send},

	"GET /sessions":                           {"sessions", auth.Read},
	"POST /sessions/{companyId}/initialize":   {"sessions", auth.Session},
	"POST /sessions/{companyId}/disconnect":   {"sessions", auth.Session},
	"POST /sessions/{companyId}/restart":      {"sessions", auth.Session},
	"POST /sessions/{companyId}/logout":       {"sessions", auth.Session},
	"DELETE /sessions/{companyId}":            {"sessions", auth.Session},
	"GET /sessions/{companyId}/status":        {"sessions", auth.Read},
	"GET /sessions/{companyId}/qr":            {"sessions", auth.Session},
	"POST /sessions/{companyId}/pairing-code": {"sessions", auth.Session},
	"GET /sessions/{companyId}/metrics":       {"sessions", auth.Read},

	"POST /webhooks": {"webhooks", auth.Webhook},
	"GET /events":    {"webhooks", auth.Read},

	"POST /companies":              {"ops", auth.Admin},
	"GET /companies/{companyId}":   {"ops", auth.Read},
	"PATCH /companies/{companyId}": {"ops", auth.Admin},
	"POST /keys":                   {"ops", auth.Admin},
	"POST /diagnose":               {"ops", auth.Read},
	"GET /health":                  {"ops", ""},
}

// routeOf returns the route of a pattern that the mux matched.
func routeOf(pattern string) (route, bool) {
	method, path, _ := strings.Cut(pattern, " ")
	path, ok := strings.CutPrefix(path, contract.BasePath)
	r, known := routes[method+" "+path]
	return r, ok && known
}

// only registers the routes that have one of the tags, or all if there are none.
type only struct {
	*http.ServeMux
	tags []string
}

// HandleFunc registers the handler unless its route has another tag.
func (o only) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	if r, _ := routeOf(pattern); len(o.tags) == 0 || slices.Contains(o.tags, r.tag) {
		o.ServeMux.HandleFunc(pattern, handler)
	}
}
