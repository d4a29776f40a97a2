package actor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store/db"
)

// openFrom gives the company working hours around the database's time, in hours from now.
func (b *bundle) openFrom(t *testing.T, from, to int) (opens time.Time) {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Hour)
	opens = now.Add(time.Duration(from) * time.Hour)
	exec(t, b, `UPDATE companies SET whatsapp_config = jsonb_build_object('workingHours', $1::text, 'timezone', 'UTC')`,
		fmt.Sprintf("%d:00-%d:00", opens.Hour(), now.Add(time.Duration(to)*time.Hour).Hour()))
	return opens
}

func inLane(lane int) func(p *db.AcceptMessageParams) {
	return func(p *db.AcceptMessageParams) { p.Lane = lane }
}

// Outside of a company's hours batches wait until it opens, and say so; what people wait for goes at any time.
func TestBatchesWaitForWorkingHours(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	opens := b.openFrom(t, 2, 4)
	var batch []string
	for i := range 20 { // more than a page
		id := b.newID()
		b.queueFor(t, company, id, fmt.Sprintf("7900111%04d", i), "offer", inLane(1))
		batch = append(batch, id)
	}
	b.online(t)
	for _, id := range batch {
		require.Eventually(t, func() bool { return b.message(t, id).Reason == "working_hours" }, await, time.Millisecond)
		row := b.message(t, id)
		require.Equal(t, string(message.Queued), row.Status)
		require.True(t, opens.Equal(row.DueAt), "%s is not %s", row.DueAt, opens)
		require.Zero(t, row.Attempt)
		require.Contains(t, string(row.Trace), "working_hours")
	}
	answer := b.accept(t, "79002222222", "answer")
	b.awaitStatus(t, answer, message.Sent)
	require.Len(t, b.AwaitFrames(t, 1), 1)
	require.Empty(t, b.frames)

	exec(t, b, `UPDATE messages SET due_at = now() WHERE lane > 0`) // the time comes
	b.openFrom(t, -1, 3)
	b.fleet.Kick(company)
	for _, frame := range b.AwaitFrames(t, len(batch)) {
		require.Contains(t, batch, frame.ID)
	}
	require.Empty(t, b.awaitStatus(t, batch[0], message.Sent).Reason)
}

// A company that is open, or whose hours nobody understands, sends at once.
func TestBatchesOfAnOpenCompany(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"no config": "", "no hours": `{"greetingMessage": "hi"}`, "nonsense": `{"workingHours": "nine to five"}`,
		"unknown zone": `{"workingHours": "9:00-9:01", "timezone": "Mars/Base"}`, "all day": `{"workingHours": "0:00-24:00"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, quick)
			if config != "" {
				exec(t, b, `UPDATE companies SET whatsapp_config = $1`, config)
			}
			id := b.newID()
			b.queueFor(t, company, id, "79001111111", "offer", inLane(1))
			b.online(t)
			b.awaitStatus(t, id, message.Sent)
		})
	}
}

// A sender that has lost its lease puts off nothing.
func TestAFencedOwnerDelaysNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, quick)
	b.openFrom(t, 2, 4)
	b.online(t)
	require.NoError(t, b.fleet.Stop(context.Background()))
	id := b.newID()
	b.queueFor(t, company, id, "79001111111", "offer", inLane(1))
	old := b.fence
	b.lease(t, shardNo)
	_, err := b.store.DelayBatches(t.Context(), old, company, time.Now().Add(time.Hour), "working_hours")
	require.ErrorContains(t, err, "lease")
	require.Empty(t, b.message(t, id).Reason)
}
