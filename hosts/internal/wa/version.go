package wa

import (
	"context"
	"crypto/md5" //nolint:gosec // WhatsApp's choice
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/proto/waWa6"
	"go.mau.fi/whatsmeow/store"
)

// versionTimeout bounds the look at web.whatsapp.com.
const versionTimeout = 10 * time.Second

// UseLatestVersion asks WhatsApp which version its web client has and speaks as that one from now on.
// The pinned whatsmeow is old enough to be refused otherwise (405).
func (d *Dialer) UseLatestVersion(ctx context.Context) (string, error) {
	version, err := d.FetchVersion(ctx)
	if err != nil {
		return "", err
	}
	return version, d.UseVersion(version)
}

// FetchVersion asks WhatsApp which version its web client has.
func (d *Dialer) FetchVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	version, err := whatsmeow.GetLatestVersion(ctx, d.ways.media)
	if err != nil {
		return "", fmt.Errorf("fetch WhatsApp's version: %w", err)
	}
	return version.String(), nil
}

// Version is what connections introduce themselves as.
func (d *Dialer) Version() string {
	if v := d.version.Load(); v != nil {
		return v.String()
	}
	return store.GetWAVersion().String()
}

// UseVersion makes the next connects introduce themselves as this version. It leaves whatsmeow's own variable for it
// alone, which must not be written while anything connects.
func (d *Dialer) UseVersion(version string) error {
	parsed, err := store.ParseVersion(version)
	if err != nil {
		return fmt.Errorf("use version: %w", err)
	}
	d.version.Store(&parsed)
	return nil
}

// introduce is whatsmeow's payload of a connect in the version that is used now.
func (c *Conn) introduce(device *store.Device, dialer *Dialer) *waWa6.ClientPayload {
	payload, version := device.GetClientPayload(), dialer.version.Load()
	said := store.GetWAVersion()
	if version != nil {
		said = *version
	}
	payload.UserAgent.AppVersion = said.ProtoAppVersion()
	if pairing := payload.GetDevicePairingData(); pairing != nil {
		hash := md5.Sum([]byte(said.String())) //nolint:gosec // as above
		pairing.BuildHash = hash[:]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said = said.String()
	return payload
}

// introduced is the version of the latest connect.
func (c *Conn) introduced() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.said
}
