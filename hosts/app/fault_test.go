package app_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim"
	"wafleet/shared/company"
	"wafleet/shared/message"
	"wafleet/shared/session"
)

// journal returns the rows of a number's connections, oldest first.
func journal(number string) (rows []wasim.JournalRow) {
	for after := uint64(0); ; {
		page := whatsapp.Journal(after, 0)
		if len(page) == 0 {
			return rows
		}
		for _, row := range page {
			if strings.HasPrefix(row.Device, number+":") {
				rows = append(rows, row)
			}
		}
		after = page[len(page)-1].N
	}
}

// thrownOut counts the sockets of a number that ended because another one logged in.
func thrownOut(number string) (n int) {
	for _, row := range journal(number) {
		if row.Tag == "close" && row.Error == "replaced" {
			n++
		}
	}
	return n
}

// deliveredOnce requires that a phone got exactly these messages, each once as its user sees it.
func deliveredOnce(t *testing.T, phone string, ids []string) {
	t.Helper()
	arrived, err := whatsapp.Messages(phone)
	require.NoError(t, err)
	var got []string
	for _, m := range arrived {
		if !m.Duplicate {
			got = append(got, m.ID)
		}
	}
	require.ElementsMatch(t, ids, got)
}

// exec runs a statement on a connection of its own, which survives what it does to others.
func (in *installation) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), statement, args...)
	require.NoError(t, err)
}

// holders returns who has the leases, by shard.
func (in *installation) holders(t *testing.T) (hosts map[int]string) {
	t.Helper()
	rows, err := in.store.Pool().Query(t.Context(), `SELECT shard, host_id FROM shard_lease WHERE expires_at > now()`)
	if err != nil {
		return nil // as during an outage
	}
	hosts = make(map[int]string)
	var n int
	var host string
	_, err = pgx.ForEachRow(rows, []any{&n, &host}, func() error {
		hosts[n] = host
		return nil
	})
	if err != nil {
		return nil
	}
	return hosts
}

// shares waits until all shards are held, and returns how many of them each host has.
func (in *installation) shares(t *testing.T, want ...int) {
	t.Helper()
	require.Eventually(t, func() bool {
		count := make(map[string]int)
		for _, host := range in.holders(t) {
			count[host]++
		}
		var got []int
		for _, n := range count {
			got = append(got, n)
		}
		slices.Sort(got)
		return slices.Equal(want, got)
	}, await, 20*time.Millisecond, "shares of %v", want)
}

// Hosts share the shards, and each company is online once: no host throws out another one's socket.
func TestTwoHostsShareTheCompanies(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	second := in.host(t)
	in.shares(t, 2, 2)
	anna := newPhone(t, wasim.NewPhone{Name: "Anna"})
	var companies []*tenant
	onShard := make(map[int]bool)
	for i := 0; len(onShard) < shards; i++ { // one company on every shard
		id := fmt.Sprintf("salon-%d", i)
		if n := company.Shard(id, shards); !onShard[n] {
			onShard[n] = true
			companies = append(companies, in.company(t, id))
		}
	}
	var ids []string
	for _, c := range companies {
		c.pair(t)
		ids = append(ids, c.send(t, anna, "from "+c.id))
	}
	for i, c := range companies {
		c.awaitStatus(t, ids[i], message.Delivered)
	}

	require.NoError(t, second.Stop(t.Context())) // and one of them goes
	in.shares(t, shards)
	for _, c := range companies {
		ids = append(ids, c.send(t, anna, "again from "+c.id))
	}
	for i, c := range companies {
		c.awaitStatus(t, ids[len(companies)+i], message.Delivered)
		c.awaitState(t, session.Connected)
		require.Zero(t, thrownOut(c.number), c.id)
	}
	deliveredOnce(t, anna, ids)
}

// A host that has lost a lease lets its companies go; whoever wins the lease takes them up, with what was sent meanwhile.
func TestALostLeaseMovesItsCompanies(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	c.pair(t)
	ids := []string{c.send(t, anna, "before")}
	c.awaitStatus(t, ids[0], message.Delivered)
	shard := company.Shard(c.id, shards)
	in.exec(t, `UPDATE shard_lease SET term = gen_random_uuid(), epoch = epoch + 1, host_id = 'somebody else',
		expires_at = now() + interval '2 s' WHERE shard = $1`, shard)
	ids = append(ids, c.send(t, anna, "in between"))
	require.Eventually(t, func() bool {
		rows := journal(c.number)
		return len(rows) > 0 && rows[len(rows)-1].Tag == "close"
	}, await, 10*time.Millisecond, "a host without a lease keeps no socket")
	require.Equal(t, string(message.Queued), c.awaitStatus(t, ids[1], message.Queued).Status)

	require.Eventually(t, func() bool { return strings.HasPrefix(in.holders(t)[shard], "host-") }, await, 20*time.Millisecond)
	c.awaitStatus(t, ids[1], message.Delivered)
	ids = append(ids, c.send(t, anna, "after"))
	c.awaitStatus(t, ids[2], message.Delivered)
	deliveredOnce(t, anna, ids)
}

// A Postgres that is away for some seconds pauses everything and loses nothing: what was accepted is sent once, what
// came in is told once, and no socket is dropped for it.
func TestAPostgresOutage(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	in.host(t)
	c, anna := in.company(t, "salon"), newPhone(t, wasim.NewPhone{Name: "Anna"})
	c.pair(t)
	ids := []string{c.send(t, anna, "before")}
	c.awaitStatus(t, ids[0], message.Delivered)
	for i := range 10 {
		ids = append(ids, c.send(t, anna, fmt.Sprint("text ", i)))
	}
	in.exec(t, `ALTER TABLE messages RENAME TO away`)
	in.exec(t, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	reply, err := whatsapp.SendText(t.Context(), anna, c.number, "are you there?")
	require.NoError(t, err)
	select {
	case <-time.After(3 * time.Second):
	case <-t.Context().Done():
	}
	in.exec(t, `ALTER TABLE away RENAME TO messages`)
	for _, id := range ids {
		c.awaitStatus(t, id, message.Delivered)
	}
	require.Eventually(t, func() bool { return in.store.Pool().Ping(t.Context()) == nil && len(c.received(t)) == 1 }, await, 50*time.Millisecond)
	require.Equal(t, reply, c.received(t)[0].WAMessageID)
	deliveredOnce(t, anna, ids)

	opened := 0
	for _, row := range journal(c.number) {
		if row.Tag == "open" {
			opened++
		}
	}
	require.LessOrEqual(t, opened, 2, "the pairing's socket and the one after it")
	last := c.send(t, anna, "after")
	c.awaitStatus(t, last, message.Delivered)
}

// A socket that is open but dead is found by pings, and replaced: at the latest 25 s after the interval between two of
// them, so within the minute that is promised at the default of 30 s.
func TestADeafSocketIsReplaced(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes as long as two pings may")
	}
	const interval, opinions = 2 * time.Second, 25 * time.Second
	in := newInstallation(t)
	in.host(t)
	c := in.company(t, "salon")
	c.pair(t)
	start := time.Now()
	_, err := whatsapp.AddFault(t.Context(), wasim.Fault{Kind: wasim.Deaf, Phone: c.number})
	require.NoError(t, err)
	var found time.Duration
	require.Eventually(t, func() bool {
		row, err := c.store.Queries().GetSession(t.Context(), c.store.Pool(), c.id)
		found = time.Since(start)
		return err == nil && row.Reconnects > 0
	}, interval+opinions+await, 20*time.Millisecond)
	require.Less(t, found, interval+opinions+5*time.Second, "with some time for a busy machine")
	c.awaitState(t, session.Connected)
}
