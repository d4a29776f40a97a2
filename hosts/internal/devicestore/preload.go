package devicestore

import (
	"context"
	"fmt"
	"time"

	"wafleet/hosts/internal/devicestore/db"
	fleet "wafleet/shared/store"
)

// preloadTime is how long rows that were read ahead are kept for the Loads that follow.
const preloadTime = time.Minute

// preload has the devices of a shard that were read ahead and not yet asked for.
type preload struct {
	fence  fleet.Fence
	rows   map[string]db.GetDeviceRow // by company
	expiry *time.Timer
}

// Preload reads the devices of all companies of a shard that are to run, with one statement. Each is handed to the next
// Load under the same fence; what nobody asks for within a minute is dropped. An error costs time only: Load reads by itself.
func (s *Store) Preload(ctx context.Context, fence fleet.Fence) error {
	ctx, done := bounded(ctx)
	defer done()
	found, err := s.queries.ListDevicesOfShard(ctx, s.pool, db.ListDevicesOfShardParams{Shard: fence.Shard, PrekeyLimit: prekeysCounted})
	if err != nil {
		return fmt.Errorf("preload devices: %w", err)
	}
	batch := &preload{fence: fence, rows: make(map[string]db.GetDeviceRow, len(found))}
	for _, row := range found {
		batch.rows[row.Device.CompanyID] = db.GetDeviceRow(row)
	}
	s.preloading.Lock()
	defer s.preloading.Unlock()
	s.dropPreload(s.preloaded[fence.Shard])
	s.preloaded[fence.Shard] = batch
	batch.expiry = time.AfterFunc(preloadTime, func() {
		s.preloading.Lock()
		defer s.preloading.Unlock()
		s.dropPreload(batch)
	})
	return nil
}

// takePreloaded hands out a row once: a second Load has to see what happened in between.
func (s *Store) takePreloaded(owner Owner, jid string) (db.GetDeviceRow, bool) {
	s.preloading.Lock()
	defer s.preloading.Unlock()
	batch := s.preloaded[owner.Fence.Shard]
	if batch == nil || batch.fence.Term != owner.Fence.Term {
		return db.GetDeviceRow{}, false
	}
	row, ok := batch.rows[owner.CompanyID]
	delete(batch.rows, owner.CompanyID)
	if len(batch.rows) == 0 {
		s.dropPreload(batch)
	}
	return row, ok && row.Device.JID == jid
}

// forgetPreloaded is called before a device's row is changed.
func (s *Store) forgetPreloaded(owner Owner, jid string) { _, _ = s.takePreloaded(owner, jid) }

func (s *Store) dropPreload(batch *preload) {
	if batch == nil {
		return
	}
	batch.expiry.Stop()
	if s.preloaded[batch.fence.Shard] == batch {
		delete(s.preloaded, batch.fence.Shard)
	}
}
