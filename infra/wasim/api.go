package wasim

import (
	"wafleet/infra/wasim/internal/content"
	"wafleet/infra/wasim/internal/control"
	"wafleet/infra/wasim/internal/fault"
	"wafleet/infra/wasim/internal/journal"
	"wafleet/infra/wasim/internal/phone"
)

// The vocabulary of the Go API is that of the control API.
type (
	// NewPhone is an account to be made by [Server.AddPhone].
	NewPhone = control.NewPhone
	// Phone is an account with its phone and companions.
	Phone = control.Phone
	// Companion is a linked device of an account.
	Companion = control.Companion
	// Outgoing is a message that a phone writes.
	Outgoing = control.Outgoing
	// Content is what a message says.
	Content = content.Content
	// MessageType is what a message is.
	MessageType = content.Type
	// Message is what a phone got, decrypted.
	Message = phone.Message
	// Receipt is what a phone is told about messages it wrote.
	Receipt = control.Receipt
	// Fault says what goes wrong, for whom and how often.
	Fault = fault.Fault
	// FaultKind names what goes wrong.
	FaultKind = fault.Kind
	// Stats counts what has happened.
	Stats = control.Stats
	// JournalRow is a stanza that crossed the server, or the beginning or end of a connection.
	JournalRow = journal.Row
)

// Types of messages.
const (
	Text     = content.Text
	Image    = content.Image
	Video    = content.Video
	Audio    = content.Audio
	Voice    = content.Voice
	Document = content.Document
	Sticker  = content.Sticker
	Location = content.Location
	Contact  = content.Contact
	Poll     = content.Poll
	Reaction = content.Reaction
	Reply    = content.Reply
	Edit     = content.Edit
	Revoke   = content.Revoke
)

// Kinds of faults.
const (
	Drop         = fault.Drop
	Deaf         = fault.Deaf
	Stream503    = fault.Stream503
	Restart515   = fault.Restart515
	Replaced     = fault.Replaced
	LoggedOut401 = fault.LoggedOut401
	Redeliver    = fault.Redeliver
	Poison       = fault.Poison
	DropPreKeys  = fault.DropPreKeys
	TempBan402   = fault.TempBan402
	Locked403    = fault.Locked403
	Outdated405  = fault.Outdated405
	Refuse503    = fault.Refuse503
	DelayAck     = fault.DelayAck
	LoseAck      = fault.LoseAck
	Error463     = fault.Error463
	NoDedup      = fault.NoDedup
	Media401     = fault.Media401
	Slow         = fault.Slow
)

// Errors of the Go API. They are wrapped with what was being done.
var (
	// ErrNotFound is returned for phones, companions and messages that do not exist.
	ErrNotFound = control.ErrNotFound
	// ErrInvalid is returned for arguments that make no sense.
	ErrInvalid = control.ErrInvalid
	// ErrConflict is returned for what cannot be done now: a phone that exists already, a QR that is used up.
	ErrConflict = control.ErrConflict
)
