package wa

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wafleet/hosts/internal/actor"
	"wafleet/hosts/internal/devicestore"
	"wafleet/hosts/internal/devicestore/devicestoretest"
	"wafleet/infra/wasim"
	"wafleet/shared/message"
)

// await is how long a test waits for what must happen.
const await = 20 * time.Second

var numbers atomic.Int64

const company = "salon"

func newNumber() string { return fmt.Sprintf("7901%07d", numbers.Add(1)) }

func newPhone(t *testing.T) string {
	t.Helper()
	number := newNumber()
	_, err := whatsapp.AddPhone(t.Context(), wasim.NewPhone{Phone: number, Name: "Anna"})
	require.NoError(t, err)
	return number
}

// line is a company's connection and the end that listens to it, in the place of an actor.
type line struct {
	*Conn

	database *devicestoretest.Database

	number string
	jid    string
	life   context.Context //nolint:containedctx // what an actor gives its sockets
	hangUp context.CancelFunc

	signals  chan actor.Signal
	receipts chan actor.Receipt
	wires    chan string // ids that were asked for

	mu        sync.Mutex
	received  []actor.Incoming
	onAdmit   func(phone string) string
	onBind    func() error
	onReceive func(in actor.Incoming) error
	stored    map[string][]byte
	gates     Gates
}

func newLine(t *testing.T) *line {
	t.Helper()
	l := &line{
		database: devicestoretest.New(t), number: newPhone(t), stored: make(map[string][]byte),
		signals: make(chan actor.Signal, 256), receipts: make(chan actor.Receipt, 256), wires: make(chan string, 256),
	}
	l.database.Company(t, company)
	l.open(t)
	return l
}

// dialer is the process's, with a device store as after a restart.
func (l *line) dialer(t *testing.T) *Dialer {
	t.Helper()
	devices := devicestore.Open(l.database.Pool, l.database.NewVault(t), slog.New(slog.DiscardHandler))
	return &Dialer{devices: devices, ways: shared.ways, gates: l.gates, logger: shared.logger}
}

// open makes a connection as a process does that has just started.
func (l *line) open(t *testing.T) {
	t.Helper()
	conn, err := l.dialer(t).Open(t.Context(), l.owner(l.jid), l.handlers())
	require.NoError(t, err)
	l.Conn = conn.(*Conn) //nolint:forcetypeassert // ours
	t.Cleanup(func() {
		if l.hangUp != nil {
			l.hangUp()
		}
		conn.Close()
	})
}

func (l *line) owner(jid string) actor.Owner {
	return actor.Owner{CompanyID: company, JID: jid, Fence: l.database.Fence}
}

func (l *line) handlers() actor.Handlers {
	return actor.Handlers{
		Signal: func(s actor.Signal) { l.signals <- s },
		Receive: func(_ context.Context, in actor.Incoming) error {
			l.mu.Lock()
			onReceive := l.onReceive
			l.mu.Unlock()
			if onReceive != nil {
				if err := onReceive(in); err != nil {
					return err
				}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.received = append(l.received, in)
			return nil
		},
		Receipt: func(_ context.Context, r actor.Receipt) error {
			l.receipts <- r
			return nil
		},
		Admit: func(_ context.Context, phone string) string {
			if l.onAdmit != nil {
				return l.onAdmit(phone)
			}
			return ""
		},
		Bind: func(context.Context, string, string) error {
			if l.onBind != nil {
				return l.onBind()
			}
			return nil
		},
		Wire: func(_ context.Context, id string) []byte {
			l.wires <- id
			l.mu.Lock()
			defer l.mu.Unlock()
			return l.stored[id]
		},
	}
}

// connect dials with a new life.
func (l *line) connect(t *testing.T) {
	t.Helper()
	l.life, l.hangUp = context.WithCancel(context.WithoutCancel(t.Context()))
	require.NoError(t, l.Connect(l.life))
}

// hang ends the socket as an actor does.
func (l *line) hang() {
	l.Close()
	l.hangUp()
}

// await returns the next signal of a kind; what comes before it is dropped.
func (l *line) await(t *testing.T, match func(s actor.Signal) bool) actor.Signal {
	t.Helper()
	return l.awaitAll(t, match)[0]
}

// awaitAll returns the next signal of each kind. They may come in any order: whatsmeow tells of most things on
// goroutines of their own.
func (l *line) awaitAll(t *testing.T, matches ...func(s actor.Signal) bool) []actor.Signal {
	t.Helper()
	deadline := time.After(await)
	found := make([]actor.Signal, len(matches))
	for missing := len(matches); missing > 0; {
		select {
		case s := <-l.signals:
			for i, match := range matches {
				if match != nil && match(s) {
					found[i], matches[i] = s, nil
					missing--
					break
				}
			}
		case <-deadline:
			require.FailNow(t, "a signal did not come")
		}
	}
	return found
}

func then(want actor.Then) func(actor.Signal) bool {
	return func(s actor.Signal) bool { return s.Then == want }
}

// paired returns a line that is linked and logged in.
func paired(t *testing.T) *line {
	t.Helper()
	l := newLine(t)
	l.connect(t)
	codes := l.await(t, then(actor.ShowQR)).Codes
	_, err := whatsapp.Scan(t.Context(), l.number, codes[0])
	require.NoError(t, err)
	l.logIn(t)
	return l
}

// logIn waits for the pairing and its restart, and logs in.
func (l *line) logIn(t *testing.T) {
	t.Helper()
	l.jid = l.awaitAll(t, func(s actor.Signal) bool { return s.JID != "" }, then(actor.Redial))[0].JID
	l.hang()
	l.reconnect(t)
}

func (l *line) reconnect(t *testing.T) actor.Signal {
	t.Helper()
	l.connect(t)
	return l.awaitAll(t, then(actor.Drain), then(actor.Settle))[0]
}

// text puts a text on the wire and keeps it as an outbox does.
func (l *line) text(t *testing.T, id, to, text string) error {
	t.Helper()
	wire, err := shared.Build(message.Content{Kind: message.Text, Text: text}, nil)
	require.NoError(t, err)
	l.mu.Lock()
	l.stored[id] = wire
	l.mu.Unlock()
	return l.Send(t.Context(), actor.Outgoing{ID: id, Phone: to, Wire: wire})
}

// arrived waits for a message on a phone.
func arrived(t *testing.T, number, id string) wasim.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), await)
	defer cancel()
	m, err := whatsapp.AwaitMessage(ctx, number, func(m wasim.Message) bool { return m.ID == id })
	require.NoError(t, err)
	return m
}

// got waits until that many incoming messages were taken.
func (l *line) got(t *testing.T, n int) []actor.Incoming {
	t.Helper()
	var got []actor.Incoming
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		got = l.received
		return len(got) >= n
	}, await, time.Millisecond)
	return got
}

// waiting is how many stanzas WhatsApp keeps for the company because they were not acked.
func (l *line) waiting(t *testing.T) int {
	t.Helper()
	phone, err := whatsapp.Phone(l.number)
	require.NoError(t, err)
	require.Len(t, phone.Companions, 1)
	return phone.Companions[0].Waiting
}

// fault makes something go wrong for this company.
func (l *line) fault(t *testing.T, kind wasim.FaultKind) {
	t.Helper()
	_, err := whatsapp.AddFault(t.Context(), wasim.Fault{Kind: kind, Phone: l.number, Count: 1})
	require.NoError(t, err)
}
