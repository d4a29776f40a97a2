package feed_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	contract "wafleet/shared/api"
	"wafleet/shared/queue"
	"wafleet/shared/vault"
)

// bulk is a message of the bulk queue.
func bulk(key string, rows int) string {
	text, _ := json.Marshal(recipients(rows)) // raw messages can be encoded
	return fmt.Sprintf(`{"companyId":%q,"idempotencyKey":%q,"name":"from outside","template":{"type":"text","text":"Hi {{name}}"},"recipients":%s,"ttl":60}`,
		company, key, text)
}

func TestBulkIsTheSameAsACall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 2 { // SQS delivers at least once
		require.NoError(t, b.feeder.HandleBulk(t.Context(), []byte(bulk("k1", 7))))
	}
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batches WHERE name = 'from outside' AND ttl = 60 AND accepted = 7`))
	require.Equal(t, 1, b.metric(t, "wafleet_bulk_total", "accepted"))
	require.Equal(t, 1, b.metric(t, "wafleet_bulk_total", "replayed"))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM queue_standard WHERE queue = 'batches'`))

	bad := strings.Replace(bulk("k2", 2), `"to":"79000000001"`, `"to":"7"`, 1)
	require.NoError(t, b.feeder.HandleBulk(t.Context(), []byte(bad)))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batch_invalid WHERE batch_row = 1 AND code = 'VALIDATION_ERROR'`), "bad rows are reported as for a call")
}

// What is wrong with a message is kept for its company with the reason, and does not come back.
func TestBadBulkGoesToQuarantine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.NoError(t, b.feeder.HandleBulk(t.Context(), []byte(bulk("used", 1))))
	bad := map[string]string{
		bulk("used", 2): "idempotency key was used",
		bulk("", 1):     "must have 1 to 255 bytes",
		bulk("k", 0):    "at least one row",
		strings.Replace(bulk("k", 1), `"name":"from outside"`, `"title":"x"`, 1): "title is not a known field",
		strings.Replace(bulk("k", 1), `"ttl":60`, `"ttl":"60"`, 1):               "ttl must be a whole number",
		strings.Replace(bulk("k", 1), `{{name}}`, `{{name`, 1):                   "has {{ without }}",
		strings.Replace(bulk("k", 1), `"idempotencyKey":"k",`, ``, 1):            "must have 1 to 255 bytes",
	}
	for body, reason := range bad {
		require.NoError(t, b.feeder.HandleBulk(t.Context(), []byte(body)), reason)
		require.Equal(t, 1, b.count(t, `SELECT count(*) FROM quarantine WHERE source = 'bulk' AND reason LIKE '%' || $1::text || '%'`, reason), reason)
		b.exec(t, `DELETE FROM quarantine WHERE reason LIKE '%' || $1::text || '%'`, reason)
	}
	require.Equal(t, len(bad), b.metric(t, "wafleet_bulk_total", "refused"))
	require.Equal(t, 1, b.count(t, `SELECT count(*) FROM batches`))
}

// Where no company can be told it about, it stays in the queue, and becomes a dead letter.
func TestUnreadableBulkBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, body := range []string{`{`, `null`, `[]`, `{}`, `{"companyId":7}`, strings.Replace(bulk("k", 1), company, "nobody", 1), strings.Repeat(`[`, 40)} {
		require.ErrorIs(t, b.feeder.HandleBulk(t.Context(), []byte(body)), vault.ErrNoKey, body)
	}
	require.Equal(t, 7, b.metric(t, "wafleet_bulk_total", "unreadable"))
	require.Zero(t, b.count(t, `SELECT count(*) FROM batches`))

	b.start(t)
	require.NoError(t, b.queue.Send(t.Context(), queue.Bulk, queue.Message{Body: []byte(`{"not":"readable"}`)}))
	b.await(t, 1, `SELECT count(*) FROM queue_standard WHERE queue = 'bulk' AND receives = 1`)
	for range 4 { // its claims run out
		b.exec(t, `UPDATE queue_standard SET visible_at = now(), receives = 5`)
	}
	b.await(t, 1, `SELECT count(*) FROM queue_standard WHERE queue = 'bulk-dlq'`)
}

func FuzzBulk(f *testing.F) {
	f.Add(bulk("k", 2))
	f.Add(`{"companyId":"962302","idempotencyKey":"k","template":{"type":"text","text":"hi"},"recipients":[{"to":"79001234567"}]}`)
	f.Add(`{"companyId":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		var b contract.BulkBatch
		if err := contract.Decode([]byte(body), &b); err != nil {
			var bad *contract.BodyError
			require.ErrorAs(t, err, &bad)
			return
		}
		for _, row := range b.Recipients {
			require.True(t, json.Valid(row))
		}
	})
}
