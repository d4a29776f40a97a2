package store_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"wafleet/shared/message"
	"wafleet/shared/store"
)

const greeting = "Welcome to Beauty Salon!"

// configure gives the company a config, as it is kept: verbatim.
func (f *fixture) configure(t *testing.T, config string) {
	t.Helper()
	_, err := f.pool.Exec(t.Context(), `UPDATE companies SET whatsapp_config = $2 WHERE company_id = $1`, company, config)
	require.NoError(t, err)
}

// greetings are the texts that wait in the company's outbox, by number.
func (f *fixture) greetings(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	for _, id := range query(t, f.pool, `SELECT message_id::text FROM messages WHERE direction = 'outgoing' AND status = 'queued'`) {
		var phone string
		var body []byte
		require.NoError(t, f.pool.QueryRow(t.Context(), `SELECT phone, body FROM messages WHERE message_id = $1`, id).Scan(&phone, &body))
		plain, err := f.vault.Open(t.Context(), company, message.BodyContext(id), body)
		require.NoError(t, err)
		content, err := message.DecodeContent(plain)
		require.NoError(t, err)
		require.Empty(t, texts[phone], "greeted twice")
		texts[phone] = content.Text
	}
	return texts
}

func greeted(chat, phone string) store.Arrival {
	a := arrival()
	a.ID, a.Chat, a.Sender, a.GreetTo = uuid.New(), chat, chat, phone
	return a
}

// A contact's first message is answered once, however often and however many at a time it writes.
func TestGreeting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.configure(t, `{"greetingMessage": "`+greeting+`", "workingHours": "9:00-18:00"}`)
	var told atomic.Int32
	var writing sync.WaitGroup
	for range 8 {
		writing.Go(func() {
			a := greeted("1234", "79005550011")
			a.Greeted = func() { told.Add(1) }
			_, _, err := f.Receive(context.WithoutCancel(t.Context()), f.fence, a)
			if err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	require.EqualValues(t, 1, told.Load())
	_, _, err := f.Receive(t.Context(), f.fence, greeted("5678", "79005550022"))
	require.NoError(t, err)
	_, _, err = f.Receive(t.Context(), f.fence, greeted("group", ""))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"79005550011": greeting, "79005550022": greeting}, f.greetings(t))
}

// What is not stored is not answered; when it comes again, it is.
func TestAGreetingIsPartOfTheMessage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.configure(t, `{"greetingMessage": "`+greeting+`"}`)
	stale := f.fence
	f.fence = f.take(t, 0, "host-b")
	a := greeted("1234", "79005550011")
	a.Greeted = func() { t.Error("greeted under a lost lease") }
	_, _, err := f.Receive(t.Context(), stale, a)
	require.ErrorIs(t, err, store.ErrFenced)
	require.Empty(t, f.greetings(t))
	a.Greeted = nil
	_, _, err = f.Receive(t.Context(), f.fence, a)
	require.NoError(t, err)
	require.Len(t, f.greetings(t), 1)
}

// Without a greeting nothing is said; and contacts that wrote before there was one are no new ones.
func TestWithoutAGreeting(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, config := range []string{`{}`, `{"greetingMessage": ""}`, `{"greetingMessage": 7}`, `{"greetingMessage": null}`, `[]`} {
		f.configure(t, config)
		_, _, err := f.Receive(t.Context(), f.fence, greeted("chat of "+config, "79005550011"))
		require.NoError(t, err, config)
	}
	f.configure(t, `{"greetingMessage": "`+greeting+`"}`)
	_, _, err := f.Receive(t.Context(), f.fence, greeted("chat of {}", "79005550011"))
	require.NoError(t, err)
	require.Empty(t, f.greetings(t))
}
