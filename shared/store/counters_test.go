package store_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
)

// counted are a company's counters, and what they should be: what its messages say.
func (f *fixture) counted(t *testing.T) (counters, truth [3]int) {
	t.Helper()
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT sent, received, failed FROM company_seq WHERE company_id = $1`, company).
		Scan(&counters[0], &counters[1], &counters[2]))
	require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE direction = 'outgoing' AND sent_at IS NOT NULL),
			count(*) FILTER (WHERE direction = 'incoming'),
			count(*) FILTER (WHERE status = 'failed' AND reason <> 'not_enqueued') FROM messages WHERE company_id = $1`, company).
		Scan(&truth[0], &truth[1], &truth[2]))
	return counters, truth
}

// Whatever becomes of messages, the counters say what counting them would: over every walk of the ladder, by the sender and
// by others, with messages that arrive twice.
func TestCountersAreTrue(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	reasons := []string{"refused", "", message.ReasonNotEnqueued}
	statuses := message.Statuses()
	for i := range 80 {
		id := fmt.Sprintf("m-%d", i)
		f.put(t, outgoing{id: id, status: "queued"})
		for range 1 + i%12 {
			move := store.Move{CompanyID: company, MessageID: id, To: statuses[random.IntN(len(statuses))], Reason: reasons[random.IntN(3)]}
			var err error
			if move.To == message.Failed && random.IntN(2) == 0 { // as the ingester and the sweeper do
				_, err = f.move(t, move)
			} else {
				_, err = f.Move(t.Context(), f.fence, move)
			}
			if err != nil {
				require.ErrorIs(t, err, store.ErrNotMoved)
			}
		}
	}
	for i := range 10 {
		_, _, err := f.Receive(t.Context(), f.fence, store.Arrival{
			CompanyID: company, ID: uuid.NewSHA1(uuid.Nil, []byte{byte(i / 2)}), WAMessageID: "wa", Phone: "79001234567", Chat: "chat", Sender: "sender",
			Event: message.Incoming{Said: message.Said{Kind: message.Text, Text: "hi"}}, SentAt: time.Now(),
		})
		require.NoError(t, err)
	}
	counters, truth := f.counted(t)
	require.Equal(t, truth, counters, "sent, received, failed")
	require.Positive(t, truth[0])
	require.Equal(t, 5, truth[1])
	require.Positive(t, truth[2])
}

// How long messages take is that of the newest, and the counters are the company's own.
func TestMeasureCompany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.createCompany(t, "other")
	f.exec(t, `UPDATE company_seq SET sent = 7, received = 8, failed = 9 WHERE company_id = 'other'`)
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, created_at, sent_at)
		SELECT $1, '79001234567', 'm-' || n, 'outgoing', 'sent', 0, 'text', 'chat', 'body', now() - interval '1 day',
			now() - interval '1 day' + CASE WHEN n <= 500 THEN interval '1 hour' ELSE interval '2 seconds' END
		FROM generate_series(1, 1500) AS n`, company)
	m, err := f.Queries().MeasureCompany(t.Context(), f.pool, company)
	require.NoError(t, err)
	require.Zero(t, m.Sent+m.Received+m.Failed)
	require.InDelta(t, 2, m.ResponseSeconds, 0.001, "the first five hundred are not among the newest thousand")
	all, err := f.Queries().MeasureTraffic(t.Context(), f.pool)
	require.NoError(t, err)
	require.EqualValues(t, 7, all.Sent)
	require.EqualValues(t, 8, all.Received)
	require.InDelta(t, 2, all.ResponseSeconds, 0.001)
}
