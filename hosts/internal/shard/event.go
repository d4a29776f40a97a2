package shard

import (
	"github.com/google/uuid"

	"wafleet/shared/store"
)

// Event is what a Keeper tells its owner: Gained, Lost or Surplus.
type Event interface{ event() }

// Gained says that the host holds a shard from now on. Everything it writes for it carries the fence.
type Gained struct {
	Fence  store.Fence
	Handed bool // over by its former holder, which waits for Settle
}

// Lost says that a shard was taken away. Another host may be serving it already: drop it at once, write nothing.
type Lost struct {
	Shard int
	Term  uuid.UUID // of the Gained that it ends
}

// Surplus asks for a shard that is more than the host's share: close it when that is convenient, then Release it.
// Until then it is held as before. Only one shard is asked for at a time.
type Surplus struct{ Fence store.Fence }

func (Gained) event()  {}
func (Lost) event()    {}
func (Surplus) event() {}
