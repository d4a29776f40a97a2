package wasim

import (
	"sync"
	"sync/atomic"

	"wafleet/infra/wasim/internal/control"
	"wafleet/infra/wasim/internal/roster"
)

// statistics counts without a lock.
type statistics struct {
	open          atomic.Int64
	total         atomic.Uint64
	logins        atomic.Uint64
	frames        atomic.Uint64
	messages      atomic.Uint64
	acks          atomic.Uint64
	duplicates    atomic.Uint64
	undecryptable atomic.Uint64
	retries       atomic.Uint64

	accounts  sync.Map // number -> *accountStatistics
	unhandled sync.Map // name -> *atomic.Uint64
	names     atomic.Int64
}

// Bounds of the names of unhandled stanzas, which are the clients' to choose.
const (
	maxUnhandled     = 200
	maxUnhandledName = 60
	otherUnhandled   = "others"
)

type accountStatistics struct {
	logins, sent, received atomic.Uint64
	open                   atomic.Int64
}

// account is the counters of one account.
func (s *statistics) account(number string) *accountStatistics {
	if found, ok := s.accounts.Load(number); ok {
		return found.(*accountStatistics) //nolint:forcetypeassert // Nothing else is stored.
	}
	made, _ := s.accounts.LoadOrStore(number, &accountStatistics{})
	return made.(*accountStatistics) //nolint:forcetypeassert // Nothing else is stored.
}

// unknown counts a stanza that nobody handles.
func (s *statistics) unknown(name string) {
	name = name[:min(len(name), maxUnhandledName)]
	found, ok := s.unhandled.Load(name)
	if !ok {
		if s.names.Add(1) > maxUnhandled {
			name = otherUnhandled
		}
		found, _ = s.unhandled.LoadOrStore(name, &atomic.Uint64{})
	}
	found.(*atomic.Uint64).Add(1) //nolint:forcetypeassert // Nothing else is stored.
}

func (s *statistics) read(accounts *roster.Roster) control.Stats {
	stats := control.Stats{
		Connections: control.Connections{Open: s.open.Load(), Total: s.total.Load()},
		Logins:      s.logins.Load(), Frames: s.frames.Load(), Messages: s.messages.Load(), Acks: s.acks.Load(),
		Duplicates: s.duplicates.Load(), Undecryptable: s.undecryptable.Load(), Retries: s.retries.Load(),
		ByAccount: map[string]control.AccountStats{}, Unhandled: map[string]uint64{},
	}
	s.accounts.Range(func(number, counters any) bool {
		c := counters.(*accountStatistics)                       //nolint:forcetypeassert // Nothing else is stored.
		stats.ByAccount[number.(string)] = control.AccountStats{ //nolint:forcetypeassert // Nothing else is stored.
			Logins: c.logins.Load(), Connections: c.open.Load(), Sent: c.sent.Load(), Received: c.received.Load(),
		}
		return true
	})
	s.unhandled.Range(func(name, count any) bool {
		stats.Unhandled[name.(string)] = count.(*atomic.Uint64).Load() //nolint:forcetypeassert // Nothing else is stored.
		return true
	})
	for _, account := range accounts.Accounts() {
		stats.Lost += account.Box.Overflow()
		for _, device := range account.Devices() {
			stats.Lost += device.Box.Overflow()
		}
	}
	return stats
}
