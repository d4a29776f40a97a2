package wasim

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// Unlink lets a phone remove a companion: the companion is told by a 401 and cannot log in again.
func (s *Server) Unlink(ctx context.Context, number string, device uint16) error {
	account, err := s.account(number)
	if err != nil {
		return err
	}
	return s.unlink(ctx, account, device)
}

func (s *Server) unlink(_ context.Context, account *roster.Account, id uint16) error {
	var sh shipment
	device, err := account.Unlink(&sh.batch, id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	s.announceDevice(&sh, account, device, "remove")
	return s.commit(&sh, func() {
		if c, ok := device.Box.Attached().(*conn); ok {
			c.finish("unlinked", closeGrace, streamRemoved())
		}
	})
}

// announceDevice tells those who keep a list of the account's devices that one came or went: the account's other
// companions, and the companions of accounts it has written with.
func (s *Server) announceDevice(sh *shipment, account *roster.Account, changed *roster.Device, what string) {
	now := stanza.Unix(time.Now())
	id := fmt.Sprintf("dev.%s.%d.%s", account.LID, changed.KeyIndex, what)
	jids, lids := deviceJIDs(account)
	own := stanza.New("notification", stanza.Attrs{"from": account.JID(), "type": "account_sync", "id": id, "t": now},
		stanza.New("devices", stanza.Attrs{"dhash": devicesHash(jids)}, deviceNodes(jids)...))
	for _, companion := range account.Devices() {
		if companion != changed {
			s.tell(sh, companion, own)
		}
	}
	others := stanza.New("notification",
		stanza.Attrs{"from": account.JID(), "lid": account.LIDJID(), "type": "devices", "id": id, "t": now},
		stanza.New(what, stanza.Attrs{"device_hash": devicesHash(jids), "device_lid_hash": devicesHash(lids)},
			stanza.New("device", stanza.Attrs{
				"jid": changed.JID(), "lid": changed.LIDJID(), "key-index": changed.KeyIndex,
			})))
	for _, number := range account.Peers() {
		peer, err := s.roster.Account(number)
		if err != nil {
			continue
		}
		for _, companion := range peer.Devices() {
			s.tell(sh, companion, others)
		}
	}
}

// tell puts a notification into a companion's mailbox.
func (s *Server) tell(sh *shipment, companion *roster.Device, notification stanza.Node) {
	if err := sh.put(companion.Box, notification); err != nil {
		s.log.ErrorContext(s.ctx, "notification lost", "error", err)
	}
}

// deviceJIDs are the addresses of all devices of an account, the phone first, by number and by hidden id.
func deviceJIDs(account *roster.Account) (jids, lids []types.JID) {
	jids, lids = []types.JID{account.JID()}, []types.JID{account.LIDJID()}
	for _, device := range account.Devices() {
		jids, lids = append(jids, device.JID()), append(lids, device.LIDJID())
	}
	return jids, lids
}

func deviceNodes(jids []types.JID) []stanza.Node {
	nodes := make([]stanza.Node, len(jids))
	for i, jid := range jids {
		nodes[i] = stanza.New("device", stanza.Attrs{"jid": jid})
	}
	return nodes
}

// dropPreKeys throws a companion's one-time prekeys away and tells it.
func (s *Server) dropPreKeys(device *roster.Device) {
	var sh shipment
	device.Keys.Drop(&sh.batch)
	s.tell(&sh, device, lowPreKeys(0))
	_ = s.commit(&sh, nil) // The log has it.
}
