package control

import (
	"context"
	"errors"

	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/phone"
)

// Errors that a [Network] returns and the API turns into status codes.
var (
	// ErrNotFound is for phones, companions and messages that do not exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalid is for requests that make no sense.
	ErrInvalid = errors.New("invalid request")
	// ErrConflict is for requests that make sense, but not now.
	ErrConflict = errors.New("conflict")
)

// Network is the simulated network.
type Network interface {
	AddPhone(ctx context.Context, phone NewPhone) (Phone, error)
	Phones() []Phone
	Phone(number string) (Phone, error)
	SetOnline(ctx context.Context, number string, online bool) error
	Scan(ctx context.Context, number, qr string) (Companion, error)
	EnterCode(ctx context.Context, number, code string) (Companion, error)
	Unlink(ctx context.Context, number string, device uint16) error

	SendMessage(ctx context.Context, number string, message Outgoing) (id string, err error)
	Messages(number string) ([]phone.Message, error)
	SendReceipts(ctx context.Context, number, kind string, ids ...string) error
	Receipts(number string) ([]Receipt, error)

	AddFault(ctx context.Context, fault fault.Fault) (fault.Fault, error)
	Faults() []fault.Fault
	ClearFaults()

	Stats() Stats
	Journal(after uint64, limit int) []journal.Row
	Root() Root
}
