package mailbox

import (
	"go.mau.fi/whatsmeow/types"

	"wafleet/infra/wasim/internal/stanza"
)

// backlog is the state of delivering what waited for a connection.
type backlog struct {
	lastSeq uint64 // stanzas up to here are delivered as offline
	count   int
	preview bool // the notice before them is still to be sent
	notice  bool // the notice after them is still to be sent
}

// Delivery is a stanza on its way to a connection.
type Delivery struct {
	Key     Key
	Frame   []byte
	Offline bool
}

// Attach makes an outlet the only one and returns the one before it, or nil. It is sent nothing until it is activated.
func (b *Box) Attach(outlet Outlet) Outlet {
	b.mu.Lock()
	defer b.mu.Unlock()
	previous := b.outlet
	b.outlet, b.active, b.cursor, b.backlog = outlet, false, 0, backlog{}
	return previous
}

// Detach takes an outlet away, unless another one has taken its place.
func (b *Box) Detach(outlet Outlet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outlet == outlet {
		b.outlet, b.active = nil, false
	}
}

// Attached is the current outlet, or nil.
func (b *Box) Attached() Outlet {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.outlet
}

// Activate lets deliveries begin, those of the backlog first. Doing it again changes nothing.
func (b *Box) Activate(outlet Outlet) {
	b.mu.Lock()
	if b.outlet == outlet && !b.active {
		b.active = true
		b.backlog = backlog{lastSeq: b.lastSeq, count: len(b.items), preview: true, notice: true}
	}
	b.mu.Unlock()
	outlet.Wake()
}

// Pause stops deliveries until the next Activate, which begins with the backlog again.
func (b *Box) Pause(outlet Outlet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outlet == outlet {
		b.active, b.cursor = false, 0
	}
}

// Next returns the next stanzas to be sent to the outlet, at most about limit of them, and none if it is not its turn.
func (b *Box) Next(outlet Outlet, limit int) ([]Delivery, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.outlet != outlet || !b.active {
		return nil, nil
	}
	var out []Delivery
	var err error
	if b.backlog.preview {
		b.backlog.preview = false
		if out, err = appendNotice(out, b.preview()); err != nil {
			return nil, err
		}
	}
	for b.cursor < len(b.items) && b.items[b.cursor].ready && len(out) < limit {
		item := b.items[b.cursor]
		if item.seq > b.backlog.lastSeq && b.backlog.notice {
			break
		}
		delivery, err := deliver(item, item.seq <= b.backlog.lastSeq)
		if err != nil {
			return nil, err
		}
		out = append(out, delivery)
		b.cursor++
	}
	if b.backlog.notice && (b.cursor == len(b.items) || b.items[b.cursor].seq > b.backlog.lastSeq) {
		b.backlog.notice = false
		return appendNotice(out, notice(stanza.New("offline", stanza.Attrs{"count": b.backlog.count})))
	}
	return out, nil
}

// Redeliver sends everything again that is not acknowledged, and before it the last messages that were.
func (b *Box) Redeliver() {
	b.mu.Lock()
	b.items = append(append([]*Item(nil), b.recent...), b.items...)
	b.recent = nil
	b.cursor = 0
	outlet := b.outlet
	b.mu.Unlock()
	if outlet != nil {
		outlet.Wake()
	}
}

// preview is the notice that announces the backlog.
func (b *Box) preview() stanza.Node {
	counts := map[string]int{}
	for _, item := range b.items {
		counts[item.Key.Class]++
	}
	return notice(stanza.New("offline_preview", stanza.Attrs{
		"count": b.backlog.count, "appdata": 0,
		"message": counts["message"], "notification": counts["notification"], "receipt": counts["receipt"],
	}))
}

func notice(child stanza.Node) stanza.Node {
	return stanza.New("ib", stanza.Attrs{"from": types.ServerJID}, child)
}

func appendNotice(out []Delivery, node stanza.Node) ([]Delivery, error) {
	frame, err := stanza.Encode(node)
	if err != nil {
		return nil, err
	}
	return append(out, Delivery{Key: Key{Class: node.Tag}, Frame: frame}), nil
}

// deliver marks the stanza as offline if it waited.
func deliver(item *Item, offline bool) (Delivery, error) {
	if !offline {
		return Delivery{Key: item.Key, Frame: item.Frame}, nil
	}
	node, err := stanza.Decode(item.Frame)
	if err != nil {
		return Delivery{}, err
	}
	node.Attrs["offline"] = "0"
	frame, err := stanza.Encode(*node)
	if err != nil {
		return Delivery{}, err
	}
	return Delivery{Key: item.Key, Frame: frame, Offline: true}, nil
}
