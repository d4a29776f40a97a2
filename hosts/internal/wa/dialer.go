package wa

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
	"google.golang.org/protobuf/proto"

	"wafleet/hosts/internal/actor"
	"wafleet/hosts/internal/devicestore"
	"wafleet/shared/message"
)

// Dialer makes connections that share two transports.
type Dialer struct {
	devices *devicestore.Store
	ways    *ways
	gates   Gates // nil: none are needed
	logger  *slog.Logger
	version atomic.Pointer[store.WAVersionContainer] // instead of whatsmeow's own; nil: that
}

var _ actor.Dialer = (*Dialer)(nil)

// NewDialer returns a dialer for the servers of the config. It sets whatsmeow's process-wide globals, so a
// process has one dialer, made before anything connects.
func NewDialer(devices *devicestore.Store, cfg Config, logger *slog.Logger) (*Dialer, error) {
	ways, err := newWays(cfg)
	if err != nil {
		return nil, err
	}
	setGlobals(cfg)
	return &Dialer{devices: devices, ways: ways, gates: cfg.Gates, logger: logger}, nil
}

// globals guards whatsmeow's variables while they are set: tests have several dialers in a process.
var globals sync.Mutex

// setGlobals sets what whatsmeow has one of for all connections of a process. What is as it should be is not touched,
// because the connections of another dialer may be reading it.
func setGlobals(cfg Config) {
	globals.Lock()
	defer globals.Unlock()
	if cfg.NoiseRoot != nil && whatsmeow.WACertPubKey != *cfg.NoiseRoot {
		whatsmeow.WACertPubKey = *cfg.NoiseRoot
	}
	// At most so far apart are its pings.
	if most := cfg.HealthInterval; most > 0 && most != whatsmeow.KeepAliveIntervalMax {
		whatsmeow.KeepAliveIntervalMin, whatsmeow.KeepAliveIntervalMax = most*2/3, most
	}
	if props := store.DeviceProps; props.GetOs() != deviceName {
		props.Os = new(deviceName)
		props.RequireFullSync = new(false)
	}
}

// deviceName is what the phone shows in its list of linked devices.
const deviceName = "wafleet"

// Open prepares a connection with the device of the jid, or with a new device for an empty one.
func (d *Dialer) Open(ctx context.Context, owner actor.Owner, h actor.Handlers) (actor.Conn, error) {
	logger := d.logger.With("company_id", owner.CompanyID)
	keeper := keeperOf(owner)
	device, err := d.device(ctx, keeper, owner.JID, h)
	if err != nil {
		return nil, err
	}
	var gate Gate
	if d.gates != nil {
		gate = d.gates(owner.Fence)
	}
	conn := newConn(device, d.ways, gate, h, logger)
	conn.destroy = func(ctx context.Context, jid string) error { return d.devices.Delete(ctx, keeper, jid) }
	conn.client.GetClientPayload = func() *waWa6.ClientPayload { return conn.introduce(device, d) }
	return conn, nil
}

func (d *Dialer) device(ctx context.Context, owner devicestore.Owner, jid string, h actor.Handlers) (*store.Device, error) {
	if jid == "" {
		return d.devices.New(owner, h.Bind), nil
	}
	device, err := d.devices.Load(ctx, owner, jid)
	switch {
	case errors.Is(err, devicestore.ErrNoDevice):
		return nil, actor.ErrNoDevice
	case errors.Is(err, devicestore.ErrUnreadableDevice):
		return nil, fmt.Errorf("%w: %w", actor.ErrDeviceUnreadable, err)
	case err != nil:
		return nil, fmt.Errorf("load device: %w", err)
	}
	return device, nil
}

// Restore brings back the keys of a device that whatsmeow deleted on WhatsApp's word.
func (d *Dialer) Restore(ctx context.Context, owner actor.Owner) error {
	err := d.devices.Restore(ctx, keeperOf(owner), owner.JID)
	if errors.Is(err, devicestore.ErrNoDevice) {
		return actor.ErrNoDevice
	}
	return err
}

// Destroy destroys the keys of a device for good.
func (d *Dialer) Destroy(ctx context.Context, owner actor.Owner) error {
	return d.devices.Delete(ctx, keeperOf(owner), owner.JID)
}

func keeperOf(owner actor.Owner) devicestore.Owner {
	return devicestore.Owner{CompanyID: owner.CompanyID, Fence: owner.Fence}
}

// Build turns content into the marshalled message that every attempt sends.
func (d *Dialer) Build(content message.Content, upload *message.Upload) ([]byte, error) {
	msg, err := encode(content, upload)
	if err != nil {
		return nil, err
	}
	wire, err := proto.Marshal(msg)
	if err != nil {
		return nil, fmt.Errorf("marshal message: %w", err)
	}
	return wire, nil
}
