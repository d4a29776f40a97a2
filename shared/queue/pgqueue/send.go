package pgqueue

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"wafleet/shared/queue"
	"wafleet/shared/queue/pgqueue/sqlcgen"
)

// Send implements queue.Queue.
func (q *Queue) Send(ctx context.Context, name string, message queue.Message) error {
	def, err := q.definition(name)
	if err != nil {
		return err
	}
	if err := def.Check(message); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	return q.insert(ctx, def, []queue.Message{message})
}

// SendBatch implements queue.Queue. The messages that can be sent at all are sent in one transaction.
func (q *Queue) SendBatch(ctx context.Context, name string, messages []queue.Message) error {
	def, err := q.definition(name)
	if err != nil {
		return err
	}
	if err := queue.CheckBatch(len(messages)); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	failed := make(map[int]error)
	sound := make([]queue.Message, 0, len(messages))
	for i, m := range messages {
		if err := def.Check(m); err != nil {
			failed[i] = err
			continue
		}
		sound = append(sound, m)
	}
	if err := q.insert(ctx, def, sound); err != nil {
		return err
	}
	if err := queue.Batch(failed); err != nil {
		return fmt.Errorf("send to %s: %w", name, err)
	}
	return nil
}

// insert sends the messages in one round trip, which is one transaction.
func (q *Queue) insert(ctx context.Context, def queue.Definition, messages []queue.Message) error {
	var first error
	note := func(_ int, err error) {
		if first == nil {
			first = err
		}
	}
	if def.FIFO() {
		q.sql.SendFIFO(ctx, fifoParams(def.Name, messages)).Exec(note)
	} else {
		q.sql.SendStandard(ctx, standardParams(def.Name, messages)).Exec(note)
	}
	if first != nil {
		return classify(ctx, "send to "+def.Name, first)
	}
	return nil
}

// fifoParams sorts by group, and keeps the order within each, so that two batches lock groups in the same order.
func fifoParams(name string, messages []queue.Message) []sqlcgen.SendFIFOParams {
	params := make([]sqlcgen.SendFIFOParams, len(messages))
	for i, m := range messages {
		params[i] = sqlcgen.SendFIFOParams{Queue: name, GroupID: m.Group, DedupID: m.DedupID, Body: m.Body}
	}
	slices.SortStableFunc(params, func(a, b sqlcgen.SendFIFOParams) int { return strings.Compare(a.GroupID, b.GroupID) })
	return params
}

func standardParams(name string, messages []queue.Message) []sqlcgen.SendStandardParams {
	params := make([]sqlcgen.SendStandardParams, len(messages))
	for i, m := range messages {
		params[i] = sqlcgen.SendStandardParams{Queue: name, GroupID: m.Group, DelaySeconds: m.Delay.Seconds(), Body: m.Body}
	}
	return params
}
