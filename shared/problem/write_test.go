package problem_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/api"
	"wafleet/shared/problem"
)

func TestWriteIsThePredecessorsEnvelope(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	p := problem.NotConnected.With("phone", "79001234567").With("companyId", "962302").Because(errors.New("secret"))
	require.NoError(t, problem.Write(w, p, "req_1"))

	require.Equal(t, 409, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	require.Equal(t, "60", w.Header().Get("Retry-After"))
	require.JSONEq(t, `{
		"success": false,
		"error": {
			"code": "MESSAGE_SEND_ERROR",
			"message": "Failed to send message: Session not connected",
			"details": {"phone": "79001234567", "companyId": "962302"},
			"isRetryable": true,
			"retryAfter": 60
		},
		"requestId": "req_1"
	}`, w.Body.String())
}

func TestEveryProblemHasAllKeys(t *testing.T) {
	t.Parallel()
	for _, p := range problem.Catalogue() {
		w := httptest.NewRecorder()
		require.NoError(t, problem.Write(w, p, "req_1"))
		require.Equal(t, p.Status, w.Code)

		var keys struct {
			Error map[string]json.RawMessage `json:"error"`
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &keys))
		require.Len(t, keys.Error, 5, p.Code)
		require.Equal(t, "null", string(keys.Error["details"]), p.Code)

		// The contract's own type must hold all of it.
		dec := json.NewDecoder(w.Body)
		dec.DisallowUnknownFields()
		var answer api.ErrorResponse
		require.NoError(t, dec.Decode(&answer))
		require.True(t, answer.Error.Code.Valid(), p.Code)
		require.Equal(t, p.Retryable, answer.Error.IsRetryable)
		require.False(t, answer.Success)
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	require.NoError(t, problem.Write(w, problem.RateLimited.RetryAfter(1200*time.Millisecond), "r"))
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), `"retryAfter":2`)

	w = httptest.NewRecorder()
	require.NoError(t, problem.Write(w, problem.Database, "r"))
	require.Empty(t, w.Header().Get("Retry-After"))
	require.Contains(t, w.Body.String(), `"retryAfter":null`)
}

func TestLogHasTheCause(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&out, nil)) // from info upwards

	problem.Log(t.Context(), logger, problem.Validation, "request_id", "r1")
	require.Empty(t, out.String(), "a caller's mistake is not an operator's business")

	problem.Log(t.Context(), logger, problem.From(errors.New("relation does not exist")), "request_id", "r1")
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line))
	require.Equal(t, "ERROR", line["level"])
	require.Equal(t, "relation does not exist", line["error"])
	require.Equal(t, "INTERNAL_ERROR", line["code"])
	require.Equal(t, "r1", line["request_id"])
}
