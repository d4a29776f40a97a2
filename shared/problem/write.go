package problem

import (
	"context"
	"encoding/json"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"time"
)

// envelope is the predecessor's answer to an error. All keys are always there.
type envelope struct {
	Success   bool   `json:"success"`
	Error     fields `json:"error"`
	RequestID string `json:"requestId"`
}

type fields struct {
	Code       Code           `json:"code"`
	Message    string         `json:"message"`
	Details    map[string]any `json:"details"`
	Retryable  bool           `json:"isRetryable"`
	RetryAfter *int64         `json:"retryAfter"`
}

// Write answers a request with a problem. Where a caller should wait, Retry-After says so too.
func Write(w http.ResponseWriter, p *Problem, requestID string) error {
	body := envelope{RequestID: requestID, Error: fields{
		Code: p.Code, Message: p.Message, Details: p.Details, Retryable: p.Retryable,
	}}
	if seconds := wholeSeconds(p.After); seconds > 0 {
		body.Error.RetryAfter = &seconds
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(body) //nolint:wrapcheck // the client is gone; there is nothing to add
}

// Log records a problem: as an error where we have to act, else in debug, because a caller's mistakes are the caller's to read.
func Log(ctx context.Context, logger *slog.Logger, p *Problem, attrs ...any) {
	level := slog.LevelDebug
	if p.Status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	attrs = append(attrs, "code", p.Code, "class", p.Class, "status", p.Status)
	if p.cause != nil {
		attrs = append(attrs, "error", p.cause)
	}
	logger.Log(ctx, level, "api.problem", attrs...)
}

// wholeSeconds rounds up: a caller that comes back a fraction too early is refused again.
func wholeSeconds(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }
