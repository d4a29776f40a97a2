package delivery_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/store/db"
	"wafleet/shared/webhook"
	"wafleet/shared/webhook/webhooktest"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	_, secret := b.endpoint(t, receiver.URL+"/hook?token=hush")
	job := b.event(t, map[string]string{"messageId": "3EB0", "text": "top secret"})[0]

	b.handle(t, job)
	request := receiver.Await(t, 1)[0]
	request.Verify(t, string(secret))
	var payload webhook.Payload
	require.NoError(t, json.Unmarshal(request.Body, &payload))
	row := b.row(t, job)
	require.Equal(t, webhook.EventID(row.EventID), payload.ID)
	require.Equal(t, request.Header.Get("webhook-id"), payload.ID)
	require.Equal(t, webhook.MessageSent, payload.Type)
	require.Equal(t, company, payload.CompanyID)
	require.EqualValues(t, 1, payload.Sequence)
	require.WithinDuration(t, time.Now(), payload.Timestamp, time.Minute)
	require.JSONEq(t, `{"messageId":"3EB0","text":"top secret"}`, string(payload.Data))

	require.Equal(t, "delivered", row.State)
	require.NotNil(t, row.DeliveredAt)
	require.Nil(t, row.ClaimedUntil)
	require.Equal(t, 1, row.Attempts)
	require.EqualValues(t, http.StatusNoContent, *row.LastStatus)
	require.Equal(t, 1, b.attempts(t, webhook.Delivered))
	require.Empty(t, b.queue.take(t, time.Hour))

	lines := b.logs.lines(t, "webhook.attempted")
	require.Len(t, lines, 1)
	require.Equal(t, company, lines[0]["company_id"])
	require.Equal(t, "delivered", lines[0]["result"])
	require.Equal(t, receiver.URL, "http://"+lines[0]["host"].(string))
	for _, private := range []string{"top secret", "hush", "/hook", string(secret)} {
		require.NotContains(t, b.logs.String(), private)
	}
}

func TestFilteredEndpointGetsOnlyItsTypes(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	all, some := webhooktest.New(t), webhooktest.New(t)
	b.endpoint(t, all.URL)
	b.endpoint(t, some.URL, webhook.MessageFailed)
	b.handle(t, b.event(t, struct{}{})...)
	require.Len(t, all.Requests(), 1)
	require.Empty(t, some.Requests())
}

func TestRotatingSecretsBothSign(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	id, old := b.endpoint(t, receiver.URL)
	b.exec(t, `UPDATE webhook_endpoints SET legacy_signature = true`)
	fresh := webhook.NewSecret()
	sealed, err := b.vault.Seal(t.Context(), company, webhook.SecretContext(id), []byte(fresh))
	require.NoError(t, err)
	_, err = b.store.Queries().RotateEndpointSecret(t.Context(), b.pool, db.RotateEndpointSecretParams{
		CompanyID: company, ID: id, Secret: sealed, Overlap: time.Hour.Seconds(),
	})
	require.NoError(t, err)

	b.handle(t, b.events(t, 1)...)
	b.exec(t, `UPDATE webhook_endpoints SET previous_until = now() - interval '1 second'`)
	b.handle(t, b.events(t, 1)...)
	requests := receiver.Await(t, 2)
	requests[0].Verify(t, string(old))
	requests[0].Verify(t, string(fresh))
	requests[1].Verify(t, string(fresh))
	require.ErrorIs(t, webhook.Verify(requests[1].Body, requests[1].Header, old), webhook.ErrNotAuthentic, "the rotation is over")
	require.NotEmpty(t, requests[0].Header.Get("X-Signature"))
}

// The schedule is walked step by step, each with the same event id, and ends in a dead letter.
func TestScheduleIsWalkedToItsEnd(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,5s,20m"})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: http.StatusInternalServerError})
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]

	b.handle(t, job)
	row := b.row(t, job)
	require.Equal(t, "pending", row.State)
	require.EqualValues(t, 500, *row.LastStatus)
	require.Equal(t, "answered 500", row.LastError)
	require.InDelta(t, 5.25, time.Until(row.NextAttemptAt).Seconds(), 1.5)
	require.Empty(t, b.queue.take(t, 4*time.Second), "not before its time")
	require.Equal(t, []webhook.Job{job}, b.queue.take(t, 6*time.Second), "the queue holds back what it can")
	require.NotNil(t, row.EnqueuedUntil)

	b.handle(t, job)
	require.Len(t, receiver.Requests(), 1, "not due yet")
	b.due(t, job)
	b.handle(t, job)
	row = b.row(t, job)
	require.InDelta(t, 21*60, time.Until(row.NextAttemptAt).Seconds(), 70)
	require.Empty(t, b.queue.take(t, time.Hour), "longer than a queue can delay: the sweeper's")
	require.Nil(t, row.EnqueuedUntil)

	b.due(t, job)
	b.handle(t, job)
	row = b.row(t, job)
	require.Equal(t, "dead", row.State)
	require.Equal(t, 3, row.Attempts)
	ids := webhooktest.IDs(receiver.Await(t, 3))
	require.Equal(t, []string{ids[0], ids[0], ids[0]}, ids)

	b.due(t, job)
	b.handle(t, job)
	require.Len(t, receiver.Requests(), 3, "dead is dead until replayed")
	require.Equal(t, 3, b.attempts(t, webhook.ServerError))
}

func TestWhatIsRetriedAndHow(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer webhooktest.Answer
		result webhook.Result
		state  string
		delay  time.Duration
	}{
		"429 with a wait":             {webhooktest.Answer{Status: 429, Header: http.Header{"Retry-After": {"1800"}}}, webhook.RateLimited, "pending", 30 * time.Minute},
		"503 with a wait":             {webhooktest.Answer{Status: 503, Header: http.Header{"Retry-After": {"1800"}}}, webhook.ServerError, "pending", 30 * time.Minute},
		"429 with less than the step": {webhooktest.Answer{Status: 429, Header: http.Header{"Retry-After": {"1"}}}, webhook.RateLimited, "pending", 10 * time.Minute},
		"404":                         {webhooktest.Answer{Status: 404}, webhook.Rejected, "pending", 10 * time.Minute},
		"a redirect":                  {webhooktest.Answer{Status: 302, Header: http.Header{"Location": {"http://169.254.169.254/"}}}, webhook.Redirected, "pending", 10 * time.Minute},
		"silence":                     {webhooktest.Answer{Hang: true}, webhook.TimedOut, "pending", 10 * time.Minute},
		"a slow body":                 {webhooktest.Answer{Status: 200, Drip: time.Millisecond}, webhook.Delivered, "delivered", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t, options{schedule: "0,10m", timeout: 2 * time.Second})
			receiver := webhooktest.New(t)
			receiver.Answer(c.answer)
			b.endpoint(t, receiver.URL)
			job := b.event(t, struct{}{})[0]
			b.handle(t, job)
			row := b.row(t, job)
			require.Equal(t, c.state, row.State)
			require.Equal(t, 1, b.attempts(t, c.result))
			if c.delay > 0 {
				require.InDelta(t, c.delay.Seconds()*1.05, time.Until(row.NextAttemptAt).Seconds(), c.delay.Seconds()*.06+2)
				require.NotEmpty(t, row.LastError)
			}
		})
	}
}

func TestBlockedTargetIsNeverDialled(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	b.endpoint(t, "https://169.254.169.254/latest/meta-data/")
	job := b.event(t, struct{}{})[0]
	b.handle(t, job)
	require.Equal(t, 1, b.attempts(t, webhook.Blocked))
	require.Contains(t, b.row(t, job).LastError, "not allowed")
}

func TestGoneDisablesTheEndpointAndTellsTheOthers(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	gone, other := webhooktest.New(t), webhooktest.New(t)
	gone.Answer(webhooktest.Answer{Status: http.StatusGone})
	id, _ := b.endpoint(t, gone.URL)
	first, second := b.event(t, struct{}{})[0], b.event(t, struct{}{})[0]
	b.endpoint(t, other.URL, webhook.WebhookDisabled)

	b.handleAll(t, first)
	row := b.endpointRow(t, id)
	require.False(t, row.Enabled)
	require.Equal(t, "gone", row.DisabledReason)
	require.Equal(t, "dead", b.row(t, first).State)

	var payload webhook.Payload
	require.NoError(t, json.Unmarshal(other.Await(t, 1)[0].Body, &payload))
	require.Equal(t, webhook.WebhookDisabled, payload.Type)
	require.Contains(t, string(payload.Data), id)
	require.Contains(t, string(payload.Data), `"reason":"gone"`)

	b.handle(t, second)
	dead := b.row(t, second)
	require.Equal(t, "dead", dead.State)
	require.Equal(t, "the endpoint is disabled", dead.LastError)
	require.Zero(t, dead.Attempts)
	require.Len(t, gone.Requests(), 1, "nothing is sent to a disabled endpoint")
	require.Empty(t, b.event(t, struct{}{}), "and nothing new is planned for it")
}

func TestFiveDaysOfFailureDisableTheEndpoint(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,1h,1h,1h"})
	failing, other := webhooktest.New(t), webhooktest.New(t)
	failing.Answer(webhooktest.Answer{Status: http.StatusInternalServerError})
	id, _ := b.endpoint(t, failing.URL, webhook.MessageSent)
	b.endpoint(t, other.URL, webhook.WebhookDisabled)
	first, second := b.event(t, struct{}{})[0], b.event(t, struct{}{})[0]
	b.handle(t, first)
	b.exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '119 h' WHERE id = $1`, id)
	b.due(t, first)
	b.handle(t, first)
	require.True(t, b.endpointRow(t, id).Enabled, "not a day too early")

	b.exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '121 h' WHERE id = $1`, id)
	b.due(t, first)
	b.queue.take(t, time.Hour) // retries
	b.handleAll(t, first)
	row := b.endpointRow(t, id)
	require.False(t, row.Enabled)
	require.Equal(t, "failing", row.DisabledReason)
	dead := b.row(t, first)
	require.Equal(t, []any{"dead", 3, "answered 500"}, []any{dead.State, dead.Attempts, dead.LastError})
	var payload webhook.Payload
	require.NoError(t, json.Unmarshal(other.Await(t, 1)[0].Body, &payload))
	require.Equal(t, webhook.WebhookDisabled, payload.Type)
	require.Contains(t, string(payload.Data), `"reason":"failing"`)
	b.handle(t, second)
	require.Equal(t, "dead", b.row(t, second).State, "what waits is listed as dead, to be replayed")
	require.Len(t, failing.Requests(), 3)
}

// A success in between, and the five days begin anew.
func TestASuccessEndsTheDaysOfFailure(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: http.StatusInternalServerError}, webhooktest.Answer{}, webhooktest.Answer{Status: http.StatusInternalServerError})
	id, _ := b.endpoint(t, receiver.URL)
	jobs := b.events(t, 3)
	b.handle(t, jobs[0])
	b.exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '6 days'`)
	b.handle(t, jobs[1], jobs[2])
	row := b.endpointRow(t, id)
	require.True(t, row.Enabled)
	require.Equal(t, 1, row.Failures)
	require.WithinDuration(t, time.Now(), *row.FailingSince, time.Minute)
}

// A dead letter that is replayed has the whole schedule before it, and a late word about an earlier attempt changes nothing.
func TestAReplayedDeliveryStartsAnew(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{schedule: "0,1h"})
	receiver := webhooktest.New(t)
	receiver.Answer(webhooktest.Answer{Status: http.StatusInternalServerError})
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]
	b.handle(t, job)
	b.due(t, job)
	b.handle(t, job)
	require.Equal(t, "dead", b.row(t, job).State)

	replay := func() {
		_, err := b.store.Queries().ReplayDelivery(t.Context(), b.pool, db.ReplayDeliveryParams{
			CompanyID: company, ID: job.DeliveryID, CreatedAt: job.CreatedAt, Hold: 60,
		})
		require.NoError(t, err)
	}
	replay()
	b.handle(t, job)
	row := b.row(t, job)
	require.Equal(t, []any{"pending", 3}, []any{row.State, row.Attempts}, "the first of two attempts failed")
	b.due(t, job)
	b.handle(t, job)
	require.Equal(t, "dead", b.row(t, job).State)

	receiver.Answer(webhooktest.Answer{})
	replay()
	b.handle(t, job)
	require.Equal(t, "delivered", b.row(t, job).State)
	requests := receiver.Requests()
	require.Len(t, requests, 5)
	for _, r := range requests {
		require.Equal(t, requests[0].Header.Get(webhook.HeaderID), r.Header.Get(webhook.HeaderID), "under one event id")
	}
}

func TestDeletedEndpoint(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]
	b.exec(t, `DELETE FROM webhook_endpoints`)
	b.handle(t, job)
	require.Equal(t, "dead", b.row(t, job).State)
	require.Empty(t, receiver.Requests())
}

func TestUnreadableJobs(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	require.ErrorIs(t, b.deliverer.Handle(t.Context(), []byte(`{"companyId":`)), webhook.ErrBadJob)
	b.handle(t, webhook.Job{CompanyID: company, DeliveryID: uuid.New(), CreatedAt: time.Now()}) // of no delivery: nothing to do
}

func TestSecretThatDoesNotOpen(t *testing.T) {
	t.Parallel()
	b := newBundle(t, options{})
	receiver := webhooktest.New(t)
	b.endpoint(t, receiver.URL)
	job := b.event(t, struct{}{})[0]
	b.exec(t, `UPDATE webhook_endpoints SET secret = 'damaged'`)
	b.handle(t, job)
	require.Equal(t, "dead", b.row(t, job).State)
	require.Empty(t, receiver.Requests())
	require.Len(t, b.logs.lines(t, "webhook.unreadable"), 1)
}
