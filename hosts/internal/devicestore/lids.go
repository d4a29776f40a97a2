package devicestore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mau.fi/whatsmeow/store"
	"go.mau.fi/whatsmeow/types"

	"wafleet/hosts/internal/devicestore/db"
)

// maxLIDs is how many pairs a device remembers, at some 60 bytes each.
const maxLIDs = 64

var _ store.LIDStore = (*lids)(nil)

var errWrongServer = errors.New("address is of another kind")

// lids is the map between LIDs and phone numbers of a company: WhatsApp tells each company for itself, and what it has
// told one is no other's business. That something is not known is remembered, too, as an empty string.
type lids struct {
	device *device

	mu    sync.Mutex // held over each round trip, so that nothing is remembered that somebody has just changed
	byPN  recent[string, string]
	byLID recent[string, string]
}

func newLIDs(d *device) *lids {
	return &lids{device: d, byPN: recent[string, string]{limit: maxLIDs}, byLID: recent[string, string]{limit: maxLIDs}}
}

func (l *lids) remember(lid, pn string) {
	l.byPN.put(pn, lid)
	l.byLID.put(lid, pn)
}

// PutManyLIDMappings stores pairs that WhatsApp has told; what is not a pair of a LID and a number is ignored.
func (l *lids) PutManyLIDMappings(ctx context.Context, mappings []store.LIDMapping) error {
	// A map in both directions: of what contradicts itself, the last counts.
	pnOf, lidOf := map[string]string{}, map[string]string{}
	for _, m := range mappings {
		if m.LID.Server != types.HiddenUserServer || m.PN.Server != types.DefaultUserServer {
			continue
		}
		lid, pn := m.LID.User, m.PN.User
		delete(pnOf, lidOf[pn])
		delete(lidOf, pnOf[lid])
		pnOf[lid], lidOf[pn] = pn, lid
	}
	d := l.device
	d.granting.Lock() // a token may be stored under the other address
	defer d.granting.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	arg := db.PutLIDsParams{Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID}
	for lid, pn := range pnOf {
		if known, ok := l.byPN.get(pn); ok && known == lid {
			continue
		}
		arg.Lids, arg.Pns = append(arg.Lids, lid), append(arg.Pns, pn)
	}
	if len(arg.Lids) == 0 {
		return nil
	}
	err := d.write(ctx, "put lids", func(ctx context.Context) (bool, error) { return d.store.queries.PutLIDs(ctx, d.store.pool, arg) })
	// What was said of the old pairs is wrong now, whichever they were.
	l.byPN.clear()
	l.byLID.clear()
	d.tokens.clear()
	if err != nil {
		return err
	}
	if len(arg.Lids) <= maxLIDs {
		for i := range arg.Lids {
			l.remember(arg.Lids[i], arg.Pns[i])
		}
	}
	return nil
}

// PutLIDMapping stores a pair that WhatsApp has told.
func (l *lids) PutLIDMapping(ctx context.Context, lid, pn types.JID) error {
	if lid.Server != types.HiddenUserServer || pn.Server != types.DefaultUserServer {
		return check(ctx, fmt.Errorf("put lid: %w", errWrongServer))
	}
	return l.PutManyLIDMappings(ctx, []store.LIDMapping{{LID: lid, PN: pn}})
}

// GetPNForLID returns an empty JID if the phone number is not known.
func (l *lids) GetPNForLID(ctx context.Context, lid types.JID) (types.JID, error) {
	if lid.Server != types.HiddenUserServer {
		return types.JID{}, check(ctx, fmt.Errorf("get phone number of lid: %w", errWrongServer))
	}
	pn, ok := l.byLID.get(lid.User)
	if !ok {
		rows, err := l.list(ctx, []string{lid.User}, nil)
		if err != nil {
			return types.JID{}, err
		}
		if len(rows) > 0 {
			pn = rows[0].PN
		}
	}
	return onServer(pn, lid.Device, types.DefaultUserServer), nil
}

// GetLIDForPN returns an empty JID if the LID is not known.
func (l *lids) GetLIDForPN(ctx context.Context, pn types.JID) (types.JID, error) {
	if pn.Server != types.DefaultUserServer {
		return types.JID{}, check(ctx, fmt.Errorf("get lid of phone number: %w", errWrongServer))
	}
	found, err := l.GetManyLIDsForPNs(ctx, []types.JID{pn})
	return found[pn], err
}

// GetManyLIDsForPNs returns the LIDs that are known, each of the same device as the phone number. Stock drops the device
// from what was not in its cache, so that after a start every companion was encrypted to with the session of the phone.
func (l *lids) GetManyLIDsForPNs(ctx context.Context, pns []types.JID) (map[types.JID]types.JID, error) {
	if len(pns) == 0 {
		return nil, nil
	}
	known, missing := map[string]string{}, []string{}
	for _, pn := range pns {
		if _, twice := known[pn.User]; twice || pn.Server != types.DefaultUserServer {
			continue
		}
		lid, ok := l.byPN.get(pn.User)
		known[pn.User] = lid
		if !ok {
			missing = append(missing, pn.User)
		}
	}
	if len(missing) > 0 {
		rows, err := l.list(ctx, nil, missing)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			known[row.PN] = row.LID
		}
	}
	found := make(map[types.JID]types.JID, len(pns))
	for _, pn := range pns {
		if lid := onServer(known[pn.User], pn.Device, types.HiddenUserServer); pn.Server == types.DefaultUserServer && !lid.IsEmpty() {
			found[pn] = lid
		}
	}
	return found, nil
}

// bothOf returns an address and, where it is known, the other one of the same user.
func (l *lids) bothOf(ctx context.Context, address types.JID) ([]string, error) {
	address = address.ToNonAD()
	both := []string{address.String()}
	var other types.JID
	var err error
	switch address.Server {
	case types.DefaultUserServer:
		other, err = l.GetLIDForPN(ctx, address)
	case types.HiddenUserServer:
		other, err = l.GetPNForLID(ctx, address)
	}
	if err == nil && !other.IsEmpty() {
		both = append(both, other.String())
	}
	return both, err
}

// list reads pairs, and remembers them and what there is none of.
func (l *lids) list(ctx context.Context, lids, pns []string) ([]db.ListLIDsRow, error) {
	d := l.device
	l.mu.Lock()
	defer l.mu.Unlock()
	rows, err := read(ctx, "list lids", func(ctx context.Context) ([]db.ListLIDsRow, error) {
		return d.store.queries.ListLIDs(ctx, d.store.pool, db.ListLIDsParams{CompanyID: d.owner.CompanyID, Lids: lids, Pns: pns})
	})
	if err != nil || len(rows) > maxLIDs {
		return rows, err
	}
	for _, lid := range lids {
		l.byLID.put(lid, "")
	}
	for _, pn := range pns {
		l.byPN.put(pn, "")
	}
	for _, row := range rows {
		l.remember(row.LID, row.PN)
	}
	return rows, nil
}

func onServer(user string, device uint16, server string) types.JID {
	if user == "" {
		return types.JID{}
	}
	return types.JID{User: user, Device: device, Server: server}
}
