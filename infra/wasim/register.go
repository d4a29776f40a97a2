package wasim

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.mau.fi/whatsmeow/proto/waCompanionReg"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"google.golang.org/protobuf/proto"

	"wafleet/infra/wasim/internal/noise"
	"wafleet/infra/wasim/internal/pairing"
	"wafleet/infra/wasim/internal/roster"
	"wafleet/infra/wasim/internal/stanza"
)

// refCount is how many QRs a connection may show.
const refCount = 6

// registration is a connection that wants to be paired.
type registration struct {
	server   *Server
	noise    [32]byte
	keys     roster.Published
	identity [32]byte
	platform string
	refs     []string
	expiry   *time.Timer

	mu      sync.Mutex // guards the fields below
	linking *linking   // the phone has certified the companion, which has not confirmed it yet
	offered string     // the number whose phone was asked to enter a code
}

// linking is a pairing that waits for the companion.
type linking struct {
	id          string // of the request that the companion answers
	device      *roster.Device
	certificate *pairing.Certificate
	result      chan error
}

var errRegistration = errors.New("malformed registration")

// register offers a new companion to be paired: by one of several QRs, or by a code.
func (s *Server) register(c *conn, peer *noise.Peer) error {
	if refusal, refused := s.loginFault(c.target()); refused {
		return c.refuse(refusal)
	}
	r, err := newRegistration(s, peer)
	if err != nil {
		_ = c.refuse(failure(400))
		return err
	}
	children := make([]stanza.Node, 0, refCount)
	for range refCount {
		random := make([]byte, 24)
		_, _ = rand.Read(random)
		ref := "2@" + base64.RawURLEncoding.EncodeToString(random)
		s.refs.Store(ref, c)
		r.refs = append(r.refs, ref)
		children = append(children, stanza.Leaf("ref", []byte(ref)))
	}
	r.expiry = time.AfterFunc(s.options.PairingTimeout, func() { c.finish("pairing timed out", 0) })
	c.mu.Lock()
	c.registration = r
	c.mu.Unlock()
	c.open()
	c.send(stanza.New("iq", stanza.Attrs{"from": serverJID, "type": "set", "xmlns": "md", "id": c.nextID()},
		stanza.New("pair-device", nil, children...)))
	return nil
}

func newRegistration(s *Server, peer *noise.Peer) (*registration, error) {
	data := peer.Payload.GetDevicePairingData()
	for _, field := range []struct {
		value []byte
		size  int
	}{
		{data.GetERegid(), 4},
		{data.GetEIdent(), 32},
		{data.GetESkeyID(), 3},
		{data.GetESkeyVal(), 32},
		{data.GetESkeySig(), 64},
	} {
		if len(field.value) != field.size {
			return nil, errRegistration
		}
	}
	return &registration{
		server: s, noise: peer.Static, identity: [32]byte(data.GetEIdent()), platform: platformOf(data),
		keys: roster.Published{
			Registration: data.GetERegid(), Identity: data.GetEIdent(), SignedID: data.GetESkeyID(),
			SignedKey: data.GetESkeyVal(), Signature: data.GetESkeySig(),
		},
	}, nil
}

// platformOf is what the companion calls itself.
func platformOf(data *waWa6.ClientPayload_DevicePairingRegistrationData) string {
	var props waCompanionReg.DeviceProps
	if err := proto.Unmarshal(data.GetDeviceProps(), &props); err != nil {
		return ""
	}
	return props.GetOs()
}

// release forgets everything that leads to the connection.
func (r *registration) release() {
	if r.expiry != nil {
		r.expiry.Stop()
	}
	for _, ref := range r.refs {
		r.server.refs.Delete(ref)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.offered != "" {
		if found, ok := r.server.offers.Load(r.offered); ok && found.(*offer).registration == r { //nolint:forcetypeassert // Nothing else is stored.
			r.server.offers.CompareAndDelete(r.offered, found)
		}
	}
}

// nextID is an id for a request of the server's own.
func (c *conn) nextID() string {
	return "sim." + strconv.FormatUint(c.id, 10) + "." + strconv.FormatUint(c.server.lastID.Add(1), 10)
}

// begin notes a pairing, of which there can be one at a time.
func (r *registration) begin(l *linking) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.linking != nil {
		return fmt.Errorf("%w: the companion is being paired already", ErrConflict)
	}
	r.linking = l
	return nil
}

// abandon lets another pairing begin.
func (r *registration) abandon(l *linking) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.linking == l {
		r.linking = nil
	}
}

// awaited is the pairing that waits for an answer with this id, or nil.
func (r *registration) awaited(id string) *linking {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.linking != nil && r.linking.id == id {
		return r.linking
	}
	return nil
}
