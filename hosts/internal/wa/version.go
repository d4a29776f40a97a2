package wa

import (
	"context"
	"fmt"
	"time"

	"go.mau.fi/whatsmeow"
	"go.mau.fi/whatsmeow/store"
)

// versionTimeout bounds the look at web.whatsapp.com.
const versionTimeout = 10 * time.Second

// UseLatestVersion asks WhatsApp which version its web client has and speaks as that one from now on.
// The pinned whatsmeow is old enough to be refused otherwise (405). Call it before anything connects.
func (d *Dialer) UseLatestVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	version, err := whatsmeow.GetLatestVersion(ctx, d.client)
	if err != nil {
		return "", fmt.Errorf("fetch WhatsApp's version: %w", err)
	}
	useVersion(*version)
	return version.String(), nil
}

// useVersion sets both places: SetWAVersion of the pinned whatsmeow leaves the payload's copy as it was
// (store/clientpayload.go; fixed upstream in a763037b).
func useVersion(version store.WAVersionContainer) {
	store.SetWAVersion(version)
	store.BaseClientPayload.UserAgent.AppVersion = version.ProtoAppVersion()
}
