package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"wafleet/functions/internal/auth"
	contract "wafleet/shared/api"
	"wafleet/shared/media"
	"wafleet/shared/problem"
)

const (
	// requestTimeout ends what takes too long before API Gateway does, which gives 30 s.
	requestTimeout = 27 * time.Second
	// maxBody is the size of the largest body where maxBodies has no other.
	maxBody = 1 << 20
	// formOverhead is what a form may have beside its file.
	formOverhead = 64 << 10
)

// maxBodies are the sizes of the largest bodies by route.
var maxBodies = map[string]int64{"POST /messages": 4 << 20, "POST /media": maxUpload + formOverhead, "PUT /media/{id}": media.MaxSize}

// maxBodyOf is how large the body of a pattern that the mux matched may be.
func maxBodyOf(pattern string) int64 {
	method, path, _ := strings.Cut(pattern, " ")
	if size, ok := maxBodies[method+" "+strings.TrimPrefix(path, contract.BasePath)]; ok {
		return size
	}
	return maxBody
}

// edge is what every request passes on its way in and its answer on its way out.
type edge struct {
	api *API
	mux *http.ServeMux
}

// ServeHTTP answers a request and leaves one line in the log.
func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	c := newCall(w, r)
	ctx, cancel := context.WithTimeout(withCall(r.Context(), c), requestTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	out := &recorder{ResponseWriter: w, status: http.StatusOK}
	_, pattern := e.mux.Handler(r)

	e.serve(out, r, pattern)

	took := time.Since(started)
	e.api.counts.request(pattern, out.status, took)
	e.api.logger.InfoContext(ctx, "api.request",
		"method", r.Method, "route", pattern, "status", out.status, "duration_ms", float64(took.Microseconds())/1000,
		"company_id", c.companyID, "request_id", c.requestID, "code", c.code)
}

func (e *edge) serve(w *recorder, r *http.Request, pattern string) {
	defer e.rescue(w, r)
	if pattern == "" {
		e.unrouted(w, r)
		return
	}
	if err := e.api.admit(r, pattern); err != nil {
		e.api.fail(w, r, err)
		return
	}
	if err := checkBody(w, r, pattern); err != nil {
		e.api.fail(w, r, err)
		return
	}
	e.mux.ServeHTTP(w, r)
}

// rescue answers a request whose handler panicked.
func (e *edge) rescue(w *recorder, r *http.Request) {
	caught := recover()
	if caught == nil {
		return
	}
	err := fmt.Errorf("panic: %v\n%s", caught, debug.Stack())
	if w.wrote {
		e.api.logger.ErrorContext(r.Context(), "api.panic", "error", err)
		return
	}
	e.api.fail(w, r, err)
}

// unrouted answers what the mux has no route for: it knows whether only the method is wrong.
func (e *edge) unrouted(w http.ResponseWriter, r *http.Request) {
	probe := &recorder{ResponseWriter: discard{http.Header{}}}
	e.mux.ServeHTTP(probe, r)
	allow := probe.Header().Get("Allow")
	if allow == "" {
		e.api.fail(w, r, problem.NotFound.Saying("There is no such route"))
		return
	}
	w.Header().Set("Allow", allow)
	e.api.fail(w, r, problem.MethodNotAllowed.Saying("The route allows "+allow))
}

// admit finds out who calls and whether the key has the route's scope.
func (a *API) admit(r *http.Request, pattern string) error {
	rt, inContract := routeOf(pattern)
	principal, err := a.keys.Authenticate(r.Context(), r)
	switch {
	case err == nil:
		callOf(r.Context()).principal = &principal
	case errors.Is(err, auth.ErrNoKey), errors.Is(err, auth.ErrUnknownKey):
		if inContract && rt.scope != "" {
			return problem.Unauthorized.Because(err)
		}
		return nil
	case rt.scope == "":
		return nil // health has to answer while the database does not
	default:
		return fmt.Errorf("authenticate: %w", err)
	}
	if rt.scope != "" && !principal.Can(rt.scope) {
		return problem.Forbidden.Saying("The API key lacks the scope "+string(rt.scope)).With("scope", string(rt.scope))
	}
	return nil
}

// checkBody reads the body of a request that has one and puts it back, once it is known to be one JSON document.
func checkBody(w http.ResponseWriter, r *http.Request, pattern string) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	most := maxBodyOf(pattern)
	if strings.HasSuffix(pattern, "/media/{id}") || (strings.HasSuffix(pattern, "/media") && isForm(r.Header)) {
		r.Body = http.MaxBytesReader(w, r.Body, most) // files are read piece by piece
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return problem.BodyTooLarge.Saying("The body is larger than " + strconv.FormatInt(most, 10) + " bytes")
	}
	if err != nil {
		return problem.Validation.Saying("The body could not be read").Because(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if len(body) == 0 {
		return nil
	}
	if err := checkMedia(r.Header); err != nil {
		return err
	}
	return contract.CheckBody(body)
}

// isForm says that a body is a form with files.
func isForm(h http.Header) bool {
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data"
}

// checkMedia takes JSON, and what names no type at all.
func checkMedia(h http.Header) error {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return problem.UnsupportedMedia.Saying("Content-Encoding " + strconv.Quote(coding) + " is not supported")
	}
	given := h.Get("Content-Type")
	if given == "" {
		return nil
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || (kind != "application/json" && !strings.HasSuffix(kind, "+json")) {
		return problem.UnsupportedMedia
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return problem.UnsupportedMedia.Saying("JSON has to be in UTF-8")
	}
	return nil
}
