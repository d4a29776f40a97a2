package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
)

// Limits of request bodies: messages carry files.
const (
	maxBody    = 64 << 10
	maxMessage = 96 << 20
)

// handler serves the control API.
type handler struct {
	network Network
	log     *slog.Logger
}

// NewHandler serves the control API of a network.
func NewHandler(network Network, log *slog.Logger) http.Handler {
	h := &handler{network: network, log: log}
	mux := http.NewServeMux()
	for pattern, serve := range map[string]func(r *http.Request) (any, error){
		"GET /phones":                     h.phones,
		"POST /phones":                    h.addPhone,
		"GET /phones/{phone}":             h.phone,
		"POST /phones/{phone}/online":     h.setOnline,
		"POST /phones/{phone}/scan":       h.scan,
		"POST /phones/{phone}/enter-code": h.enterCode,
		"POST /phones/{phone}/unlink":     h.unlink,
		"GET /phones/{phone}/messages":    h.messages,
		"POST /phones/{phone}/messages":   h.send,
		"GET /phones/{phone}/receipts":    h.receipts,
		"POST /phones/{phone}/receipts":   h.sendReceipts,
		"GET /faults":                     h.faults,
		"POST /faults":                    h.addFault,
		"DELETE /faults":                  h.clearFaults,
		"GET /stats":                      h.stats,
		"GET /journal":                    h.journal,
		"GET /root":                       h.root,
	} {
		mux.HandleFunc(pattern, h.wrap(serve))
	}
	mux.HandleFunc("/", h.wrap(func(r *http.Request) (any, error) {
		return nil, fmt.Errorf("%w: no %s %s here", ErrNotFound, r.Method, r.URL.Path)
	}))
	return mux
}

// created is an answer that goes with status 201.
type created struct{ body any }

// wrap turns a function that answers or fails into a handler.
func (h *handler) wrap(serve func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, err := serve(r)
		status := http.StatusOK
		if made, ok := answer.(created); ok {
			status, answer = http.StatusCreated, made.body
		}
		if err != nil {
			status = statusOf(err)
			if status == http.StatusInternalServerError {
				h.log.ErrorContext(r.Context(), "control request failed", "path", r.Pattern, "error", err)
			}
			answer = map[string]string{"error": err.Error()}
		}
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			h.log.DebugContext(r.Context(), "control answer not sent", "error", err)
		}
	}
}

func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, ErrInvalid):
		return http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, ErrConflict):
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}

// decode reads the body of a request. Fields that it does not know it refuses: with a misspelt one, a test would test
// something else.
func decode(r *http.Request, limit int64, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, limit))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("%w: body: %w", ErrInvalid, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: body: more than one JSON value", ErrInvalid)
	}
	return nil
}

// number reads a query parameter; absent is 0.
func number(r *http.Request, name string) (uint64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return 0, nil
	}
	value, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%w: %s must be a number", ErrInvalid, name)
	}
	return value, nil
}
