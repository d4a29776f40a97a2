//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	thousandCompanies  = 10
	thousandCustomers  = 5   // of each company
	thousandMessages   = 100 // of each company
	thousandWithin     = 3 * time.Minute
	messagesBeforeKill = 500
)

// A thousand messages of ten companies, and the whole process killed in the middle: every message that was accepted
// arrives, once, in the order of its chat, and is shown as delivered.
func TestAThousandMessagesSurviveAKill(t *testing.T) {
	in := newInstallation(t)
	in.makeRun()
	c := newClient(t, in.awaitReady())
	var companies []string
	for i := range thousandCompanies {
		id := fmt.Sprintf("firm-%d", i)
		companies = append(companies, id)
		c.api(http.MethodPost, "/companies", object{"companyId": id, "rateLimit": object{"perMinute": 60_000, "burst": 1_000}})
		c.pair(id, fmt.Sprintf("7900300%04d", i))
		for j := range thousandCustomers {
			c.phones(http.MethodPost, "/phones", object{"phone": customerOf(i, j), "name": "customer"})
		}
	}

	sent := &ledger{killAt: messagesBeforeKill, kill: make(chan struct{})}
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		<-sent.kill
		_ = syscall.Kill(in.pid(), syscall.SIGKILL)
		<-in.ended
		in.makeRun()
		in.awaitReady()
	}()
	var senders sync.WaitGroup
	for i, id := range companies {
		senders.Go(func() {
			for n := range thousandMessages {
				sent.send(c, id, customerOf(i, n%thousandCustomers), fmt.Sprintf("%s %d", id, n))
			}
		})
	}
	senders.Wait()
	<-killed
	require.Len(t, sent.ids, thousandCompanies*thousandMessages)

	for _, id := range companies {
		c.awaitConnected(id)
	}
	waiting := time.Now()
	for id, company := range sent.ids {
		in.await(thousandWithin-time.Since(waiting), "delivery of "+id, func() bool {
			m := c.api(http.MethodGet, "/messages/"+id+"?companyId="+company, nil).(object)
			return m["status"] == "delivered"
		})
	}
	for i, id := range companies {
		for j := range thousandCustomers {
			require.Equal(t, sent.chats[id+customerOf(i, j)], c.arrived(customerOf(i, j)), "%s to its customer %d", id, j)
		}
	}
}

func customerOf(company, n int) string { return fmt.Sprintf("79004%02d%04d", company, n) }

// ledger is what the API has accepted.
type ledger struct {
	killAt int
	kill   chan struct{} // closed at the killAt-th message

	mu    sync.Mutex
	ids   map[string]string   // message to company
	chats map[string][]string // company and customer to messages, in order
}

// send sends one message, as a careful caller does: with an idempotency key, and again until it is accepted.
func (l *ledger) send(c *client, company, to, text string) {
	c.t.Helper()
	var id string
	c.await("acceptance of "+text, func() bool {
		answer, ok := c.trySend(company, to, text)
		id = answer
		return ok
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ids == nil {
		l.ids, l.chats = make(map[string]string), make(map[string][]string)
	}
	l.ids[id] = company
	l.chats[company+to] = append(l.chats[company+to], id)
	if len(l.ids) == l.killAt {
		close(l.kill)
	}
}
