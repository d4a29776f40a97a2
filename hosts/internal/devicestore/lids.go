package devicestore

import (
	"context"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"
)

var _ store.LIDStore = (*lids)(nil)

// lids is the map between LIDs and phone numbers, one for all devices.
type lids struct{ stock store.LIDStore }

// PutManyLIDMappings stores pairs that WhatsApp has told.
func (l *lids) PutManyLIDMappings(ctx context.Context, mappings []store.LIDMapping) error {
	return check(ctx, "put lid mappings", l.stock.PutManyLIDMappings(ctx, mappings))
}

// PutLIDMapping stores a pair that WhatsApp has told.
func (l *lids) PutLIDMapping(ctx context.Context, lid, pn types.JID) error {
	return check(ctx, "put lid mapping", l.stock.PutLIDMapping(ctx, lid, pn))
}

// GetPNForLID returns an empty JID if the phone number is not known.
func (l *lids) GetPNForLID(ctx context.Context, lid types.JID) (types.JID, error) {
	pn, err := l.stock.GetPNForLID(ctx, lid)
	return pn, check(ctx, "get phone number of lid", err)
}

// GetLIDForPN returns an empty JID if the LID is not known.
func (l *lids) GetLIDForPN(ctx context.Context, pn types.JID) (types.JID, error) {
	lid, err := l.stock.GetLIDForPN(ctx, pn)
	return lid, check(ctx, "get lid of phone number", err)
}

// GetManyLIDsForPNs returns the LIDs that are known, each of the same device as the phone number. Stock drops the device
// from what was not in its cache, so that after a start every companion was encrypted to with the session of the phone.
func (l *lids) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	found, err := l.stock.GetManyLIDsForPNs(ctx, pns)
	if err != nil {
		return nil, check(ctx, "get lids of phone numbers", err)
	}
	for pn, lid := range found {
		lid.Device = pn.Device
		found[pn] = lid
	}
	return found, nil
}
