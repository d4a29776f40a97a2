package webhook_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/queue"
	"wafleet/shared/webhook"
)

// storeDelivery has the shape of store.Delivery.
type storeDelivery struct {
	ID        uuid.UUID
	CompanyID string
	CreatedAt time.Time
}

// sender keeps what it is given, and refuses the batches that it is told to.
type sender struct {
	batches [][]queue.Message
	refuse  map[int]error
}

func (s *sender) SendBatch(_ context.Context, name string, messages []queue.Message) error {
	if name != queue.Webhooks {
		return fmt.Errorf("wrong queue %s", name)
	}
	s.batches = append(s.batches, messages)
	return s.refuse[len(s.batches)-1]
}

func TestEnqueueDeliveries(t *testing.T) {
	t.Parallel()
	created := time.Date(2026, 11, 1, 12, 0, 0, 123456000, time.UTC)
	var deliveries []storeDelivery
	for i := range 23 {
		deliveries = append(deliveries, storeDelivery{ID: uuid.New(), CompanyID: fmt.Sprintf("company-%d", i%3), CreatedAt: created})
	}
	q := &sender{}
	require.NoError(t, webhook.EnqueueDeliveries(t.Context(), q, deliveries))
	require.Len(t, q.batches, 3)
	var n int
	for _, batch := range q.batches {
		require.LessOrEqual(t, len(batch), queue.MaxBatch)
		for _, m := range batch {
			require.NoError(t, queue.Definition{Name: queue.Webhooks}.Check(m))
			job, err := webhook.DecodeJob(m.Body)
			require.NoError(t, err)
			require.Equal(t, webhook.Job{CompanyID: deliveries[n].CompanyID, DeliveryID: deliveries[n].ID, CreatedAt: created}, job,
				"the microseconds of Postgres must survive")
			require.Equal(t, job.CompanyID, m.Group)
			require.Zero(t, m.Delay)
			n++
		}
	}
	require.Equal(t, len(deliveries), n)
	require.NoError(t, webhook.EnqueueDeliveries(t.Context(), q, []storeDelivery{}))
	require.Len(t, q.batches, 3, "nothing to send, nothing sent")
}

func TestEnqueueJobsGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	q := &sender{refuse: map[int]error{0: broken}}
	jobs := make([]webhook.Job, 12)
	require.ErrorIs(t, webhook.EnqueueJobs(t.Context(), q, time.Minute, jobs...), broken)
	require.Len(t, q.batches, 2)
	require.Equal(t, time.Minute, q.batches[1][0].Delay)
}

func TestDecodeJobRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "null", "[]", `{}`, `{"companyId":"a"}`, `{"companyId":"a/b","deliveryId":"018f0000-0000-7000-8000-000000000001","createdAt":"2026-11-01T12:00:00Z"}`,
		`{"companyId":"a","deliveryId":"x","createdAt":"2026-11-01T12:00:00Z"}`,
		`{"companyId":"a","deliveryId":"018f0000-0000-7000-8000-000000000001"}`,
		`{"companyId":"a","deliveryId":"00000000-0000-0000-0000-000000000000","createdAt":"2026-11-01T12:00:00Z"}`,
	} {
		_, err := webhook.DecodeJob([]byte(body))
		require.ErrorIs(t, err, webhook.ErrBadJob, body)
	}
}

func FuzzDecodeJob(f *testing.F) {
	f.Add([]byte(`{"companyId":"a","deliveryId":"018f0000-0000-7000-8000-000000000001","createdAt":"2026-11-01T12:00:00Z"}`))
	f.Add([]byte(`{"companyId":`))
	f.Fuzz(func(t *testing.T, body []byte) {
		job, err := webhook.DecodeJob(body)
		if err != nil {
			require.ErrorIs(t, err, webhook.ErrBadJob)
			return
		}
		require.NotEmpty(t, job.CompanyID)
		require.NotEqual(t, uuid.Nil, job.DeliveryID)
	})
}
