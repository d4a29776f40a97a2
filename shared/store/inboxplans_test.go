package store_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
	"wafleet/shared/store/db"
	"wafleet/shared/store/pgtest"
)

// TestPlansSurviveABacklog for what comes in, the history and the files.
func TestPlansOfTheInboxSurviveABacklog(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.MaxConns(1))
	require.NoError(t, store.Migrate(t.Context(), f.pool.Config().ConnString()))
	f.pool.Reset()
	const (
		backlog = 10_000
		few     = 80 // a page twice, and versions of the same row
	)
	for n := range 12 { // a plan is kept from the sixth time on
		f.arrivals(t, fmt.Sprintf("early-%d", n), nil)
	}
	f.exec(t, `INSERT INTO messages (company_id, phone, message_id, direction, status, shard, kind, chat, body, wa_message_id, sender)
		SELECT $1, '79001234567', 'in_' || n, 'incoming', 'received', 0, 'text', (n % 10)::text, 'body', 'wa-' || n, '1'
		FROM generate_series(1, $2::int) AS n`, company, backlog)
	f.exec(t, `INSERT INTO received_media (media_id, company_id, message_id, sealed_reference, shard, state)
		SELECT 'med_' || n, $1, 'in_' || n, 'sealed', 0, 'known' FROM generate_series(1, $2::int) AS n`, company, backlog)
	f.arrivals(t, "late", func(step string, read int64) {
		require.LessOrEqual(t, read, int64(few), step)
	})
}

// arrivals takes an incoming message with a file through all that happens to it, and tells how many rows each step has read.
func (f *fixture) arrivals(t *testing.T, id string, tell func(step string, read int64)) {
	t.Helper()
	ctx, q := t.Context(), f.Queries()
	arrived := arrival()
	arrived.WAMessageID, arrived.Chat = "wa of "+id, "chat of "+id
	arrived.Event.Said = message.Said{Kind: message.Image, Media: &message.Media{}}
	arrived.File = []byte("{}")
	arrived.Amends = &store.Amendment{MessageID: "in_7", Status: "revoked"}
	const top = math.MaxInt64
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"receive", func() error {
			fresh, _, err := f.Receive(ctx, f.fence, arrived)
			require.True(t, fresh)
			return err
		}},
		{"receive again", func() error {
			_, _, err := f.Receive(ctx, f.fence, arrived)
			return err
		}},
		{"find referred", func() error {
			rows, err := q.FindReferred(ctx, f.pool, db.FindReferredParams{CompanyID: company, WaMessageID: arrived.WAMessageID})
			require.Len(t, rows, 1)
			return err
		}},
		{"history", func() error {
			_, err := q.ListHistory(ctx, f.pool, db.ListHistoryParams{CompanyID: company, Below: top, Most: 10, PageSize: 10})
			return err
		}},
		{"chat", func() error {
			rows, err := q.ListChat(ctx, f.pool, db.ListChatParams{CompanyID: company, Chats: []string{arrived.Chat, "nobody"}, Below: top, Most: 10, PageSize: 10})
			require.NotEmpty(t, rows)
			return err
		}},
		{"want media", func() error {
			_, err := q.WantMedia(ctx, f.pool, db.WantMediaParams{CompanyID: company, MediaID: store.MediaID(store.IncomingID(arrived.ID))})
			return err
		}},
		{"companies wanting media", func() error {
			_, err := q.ListCompaniesWantingMedia(ctx, f.pool, []int{0, 1, 2, 3})
			return err
		}},
		{"wanted media", func() error {
			_, err := q.ListWantedMedia(ctx, f.pool, db.ListWantedMediaParams{CompanyID: company, Shard: f.fence.Shard, PageSize: 8})
			return err
		}},
		{"settle media", func() error {
			_, err := q.SettleMedia(ctx, f.pool, db.SettleMediaParams{
				CompanyID: company, Shard: f.fence.Shard, Term: f.fence.Term, MediaID: store.MediaID(store.IncomingID(arrived.ID)), State: "asked",
			})
			return err
		}},
		{"asked media", func() error {
			_, err := q.GetAskedMedia(ctx, f.pool, db.GetAskedMediaParams{CompanyID: company, MediaID: store.MediaID(store.IncomingID(arrived.ID))})
			return err
		}},
	} {
		before := f.rowsRead(t)
		require.NoError(t, ignoreNone(step.do()), step.name)
		if tell != nil {
			tell(step.name, f.rowsRead(t)-before)
		}
	}
}

func ignoreNone(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	return err
}
