package devicestore

import (
	"context"
	"maps"
	"slices"

	"wafleet/hosts/internal/devicestore/db"
)

// maxHandled bounds how many handled events wait for a write that takes their plaintext along.
const maxHandled = 8

// keep stores a batch with one statement: all of it, or nothing.
func (d *device) keep(ctx context.Context, doing string, b batch) error {
	arg, err := d.params(ctx, b)
	if err != nil {
		return err
	}
	handled := d.takeHandled()
	for i := range handled {
		arg.Handled = append(arg.Handled, handled[i][:])
	}
	tries := 0
	err = d.write(ctx, doing, func(ctx context.Context) (bool, error) {
		tries++
		held, err := d.store.queries.Keep(ctx, d.store.pool, arg)
		if tries > 1 && isStored(err) {
			return true, nil // by the try before, whose answer was lost
		}
		return held, err
	})
	if err != nil {
		d.giveBack(handled)
	}
	return err
}

// params seals a batch. Rows are sorted, so that two writers lock them in the same order.
func (d *device) params(ctx context.Context, b batch) (arg db.KeepParams, err error) {
	arg = db.KeepParams{
		Shard: d.owner.Fence.Shard, Term: d.owner.Fence.Term, CompanyID: d.owner.CompanyID, JID: d.jid,
		UsedPrekeys: b.usedPreKeys, GoneSenders: b.goneSenders,
		GoneSessions: slices.Sorted(maps.Keys(b.goneSessions)), GoneIdentities: slices.Sorted(maps.Keys(b.goneIdentities)),
	}
	seal := func(table, key string, plain []byte) (sealed []byte) {
		if err == nil {
			sealed, err = d.seal(ctx, table, key, plain)
		}
		return sealed
	}
	for _, address := range slices.Sorted(maps.Keys(b.sessions)) {
		arg.SessionAddresses = append(arg.SessionAddresses, address)
		arg.Sessions = append(arg.Sessions, seal(sessionsTable, address, b.sessions[address]))
	}
	for _, address := range slices.Sorted(maps.Keys(b.identities)) {
		identity := b.identities[address]
		arg.IdentityAddresses = append(arg.IdentityAddresses, address)
		arg.Identities = append(arg.Identities, identity[:])
	}
	for name, key := range b.senderKeys {
		arg.SenderKeyChats = append(arg.SenderKeyChats, name.chat)
		arg.SenderKeySenders = append(arg.SenderKeySenders, name.sender)
		arg.SenderKeys = append(arg.SenderKeys, seal(senderKeysTable, name.chat+"|"+name.sender, key))
	}
	for _, s := range b.secrets {
		chat, sender := s.Chat.ToNonAD().String(), s.Sender.ToNonAD().String()
		arg.SecretChats, arg.SecretSenders = append(arg.SecretChats, chat), append(arg.SecretSenders, sender)
		arg.SecretIds = append(arg.SecretIds, s.ID)
		arg.Secrets = append(arg.Secrets, seal(secretsTable, secretKey(chat, sender, s.ID), s.Secret))
	}
	if e := b.event; e != nil {
		arg.EventHashes, arg.EventTimes = [][]byte{e.hash[:]}, []int64{e.serverAt.Unix()}
		if e.plaintext == nil {
			arg.Events = [][]byte{nil}
		} else {
			arg.Events = [][]byte{seal(eventsTable, string(e.hash[:]), e.plaintext)}
		}
	}
	return arg, err
}

// takeHandled returns the events whose plaintext is to go.
func (d *device) takeHandled() [][32]byte {
	d.expecting.Lock()
	defer d.expecting.Unlock()
	handled := d.handled
	d.handled = nil
	return handled
}

func (d *device) giveBack(handled [][32]byte) {
	d.expecting.Lock()
	defer d.expecting.Unlock()
	d.handled = append(d.handled, handled...)
}
