package local

import (
	"context"
	"fmt"
	"sync"

	"wafleet/infra/local/qrtext"
)

// showQR returns what draws QR codes where people look, or nil where phones are simulated and nobody can scan one.
func (s *System) showQR() func(companyID, code string) {
	if s.peer.Endpoint != "" {
		return nil
	}
	var drawing sync.Mutex // one at a time; sessions show theirs whenever they like
	return func(companyID, code string) {
		picture, err := qrtext.Draw(code)
		if err != nil {
			s.log.WarnContext(context.Background(), "qr.not_drawn", "company_id", companyID, "error", err)
			return
		}
		drawing.Lock()
		defer drawing.Unlock()
		_, _ = fmt.Fprintf(s.options.Out, "\nScan this with the phone of company %s (Linked devices, Link a device):\n\n%s\n", companyID, picture)
	}
}
