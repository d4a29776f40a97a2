package actor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"wafleet/shared/message"
	"wafleet/shared/rpc"
	"wafleet/shared/session"
	"wafleet/shared/store"
)

// Dialer makes connections. It is implemented by package wa.
type Dialer interface {
	// Open prepares the connection of a company without dialling. An empty jid opens an unpaired one.
	// ErrNoDevice: the keys of that jid are gone; ErrDeviceUnreadable: they are of no use. The company has to pair again.
	Open(ctx context.Context, owner Owner, h Handlers) (Conn, error)
	// Restore brings back the keys of a device that WhatsApp's word had deleted. ErrNoDevice: there is nothing to restore.
	Restore(ctx context.Context, owner Owner) error
	// Destroy destroys the keys of a device for good. It is no error if there are none.
	Destroy(ctx context.Context, owner Owner) error
	// Version is what connections introduce themselves as from now on.
	Version() string
	// FetchVersion asks WhatsApp for the version that it wants.
	FetchVersion(ctx context.Context) (string, error)
	// UseVersion changes Version.
	UseVersion(version string) error
	// Build turns content into the message that goes on the wire, its random secret included. Upload is where WhatsApp has
	// the content's file; nil for kinds without one.
	Build(content message.Content, upload *message.Upload) ([]byte, error)
}

// Owner is whose connection is opened, and the right to write for it.
type Owner struct {
	CompanyID string
	JID       string // empty: unpaired
	Fence     store.Fence
}

var (
	// ErrNoDevice says that a session's keys are not in the device store.
	ErrNoDevice = errors.New("device keys are gone")
	// ErrDeviceUnreadable says that a session's keys are damaged, or were sealed with another key.
	ErrDeviceUnreadable = errors.New("device keys are unreadable")
)

var (
	// ErrFileGone says that WhatsApp's media servers do not have a file any more.
	ErrFileGone = errors.New("file is gone")
	// ErrFileDamaged says that what was fetched is not the file that the message speaks of.
	ErrFileDamaged = errors.New("file is damaged")
)

// Conn is the connection of one company. It can be connected, closed and connected again.
type Conn interface {
	// Connect dials and logs in, or offers pairing when unpaired. It returns when the handshake is done; what
	// follows arrives as Signals. The context bounds the whole life of the socket, not only the dial.
	Connect(ctx context.Context) error
	// Close ends the socket without unlinking the device. Idempotent.
	Close()
	// RequestPairingCode asks for the code to be typed on the phone with this number. Only while pairing, and
	// only after the first ShowQR signal.
	RequestPairingCode(ctx context.Context, phone string) (string, error)
	// Ping asks the server for a sign of life, for as long as the context allows.
	Ping(ctx context.Context) error
	// Upload brings a file to WhatsApp, for messages of a kind; it may open the file more than once. Any error is a
	// *SendError, with what open returned in its chain.
	Upload(ctx context.Context, kind message.Kind, open func() (io.ReadCloser, error)) (message.Upload, error)
	// Send writes one message and waits for the server's ack. Any error is a *SendError.
	Send(ctx context.Context, m Outgoing) error
	// Download fetches the file of a message into an empty one, decrypted and checked. ErrFileGone: WhatsApp has it no
	// more; ErrFileDamaged: it is not what the message says, or longer than most bytes. Any other error passes.
	Download(ctx context.Context, f File, into *os.File, most int64) error
	// AskAgain asks the phone that a file came from to upload it again. The answer comes as a Reupload.
	AskAgain(ctx context.Context, f File) error
	// Logout unlinks the device on the phone.
	Logout(ctx context.Context) error
	// CheckContacts asks WhatsApp which numbers it knows; the answers come in the order of the numbers.
	CheckContacts(ctx context.Context, phones []string) ([]rpc.ContactFound, error)
	// MarkRead tells the sender of a message that it was read.
	MarkRead(ctx context.Context, m rpc.ReadMark) error
	// ShowTyping shows a chat that somebody writes.
	ShowTyping(ctx context.Context, t rpc.Typing) error
}

// Outgoing is a message to put on the wire.
type Outgoing struct {
	ID    string
	Phone string // the recipient's address, see message.ParseRecipient
	Wire  []byte // what Build returned
}

// Outcome is what is known after a send that brought no ack.
type Outcome int

const (
	// NotWritten means that no frame left this host; the message can go back to the outbox.
	NotWritten Outcome = iota + 1
	// Refused means that the server answered that it will not take the message.
	Refused
	// Unknown means that a frame may have left; only a resend under the same id is safe.
	Unknown
)

// SendError is how a send ended when it was not acked.
type SendError struct {
	Outcome Outcome
	Reason  string // a code of the error catalogue in lower case, or of the transport
	Final   bool   // trying again will not help
	Err     error
}

// Error names the reason and the cause.
func (e *SendError) Error() string { return fmt.Sprintf("send: %s: %v", e.Reason, e.Err) }

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Handlers is where a connection reports to. Signal must not block for long; Receive and Receipt return
// only when what they were given is durable, and an error keeps WhatsApp from being acked.
type Handlers struct {
	Signal  func(Signal)
	Receive func(ctx context.Context, in Incoming) error
	Receipt func(ctx context.Context, r Receipt) error
	// Reupload is told what became of AskAgain.
	Reupload func(ctx context.Context, r Reupload) error
	// Admit says whether the company may be linked to this number: an empty reason, or why not.
	Admit func(ctx context.Context, phone string) (reason string)
	// Bind records that the company is now linked to this device, before the pairing is confirmed.
	Bind func(ctx context.Context, jid, lid string) error
	// Wire returns what was sent under an id, to answer a device that could not decrypt it; nil if unknown.
	Wire func(ctx context.Context, messageID string) []byte
}

// Incoming is a decrypted message, whoever sent it.
type Incoming struct {
	WAMessageID string
	Chat        message.Contact
	Sender      message.Contact
	FromMe      bool
	Said        message.Said
	File        *File  // of a message with media
	Silent      bool   // between devices: no chat would show it
	Digest      []byte // SHA-256 of the plaintext
	Timestamp   time.Time
}

// File is how the file of a message is fetched: what WhatsApp told of it, and whose message it belongs to, so that its
// sender's phone can be asked for it. It is stored sealed, as JSON.
type File struct {
	Type       string `json:"type"` // what WhatsApp derives the keys with
	MimeType   string `json:"mimeType"`
	Name       string `json:"name,omitempty"`
	DirectPath string `json:"directPath"`
	Key        []byte `json:"key"`
	SHA256     []byte `json:"sha256"`
	EncSHA256  []byte `json:"encSha256"`
	Size       int64  `json:"size"`

	MessageID string `json:"messageId"` // WhatsApp's
	Chat      string `json:"chat"`      // JIDs
	Sender    string `json:"sender"`
	IsGroup   bool   `json:"isGroup,omitempty"`
	FromMe    bool   `json:"fromMe,omitempty"`
}

// Reupload is a phone's answer to AskAgain.
type Reupload struct {
	WAMessageID string
	// Open returns where the file is now, given the file's key; an error if the phone does not have it any more either, or
	// answered with another key.
	Open func(key []byte) (directPath string, err error)
}

// Receipt is what a device of the other side reports on messages.
type Receipt struct {
	MessageIDs []string
	Status     message.Status // Delivered, Read or Played
}

// Then is what the actor does after a signal changed the session's state.
type Then int

const (
	// Carry does nothing more.
	Carry Then = iota
	// Drain lets the outbox flow: the session is online.
	Drain
	// Settle resolves doubts about earlier sends: what piled up while offline has arrived.
	Settle
	// Redial connects again at once, as the server asked for.
	Redial
	// Retry closes the socket and connects again after a random time that grows with every failure.
	Retry
	// Pause closes the socket until After has passed. It says nothing about the network, so it is no failure.
	Pause
	// Yield closes the socket because another one logged in with the same keys, and tries again after After; not for
	// ever, because the two would throw each other out.
	Yield
	// Renew closes the socket until the fleet has another version to introduce itself as than Signal.Version.
	Renew
	// Suspect asks the server for a sign of life: it has not answered once.
	Suspect
	// Hint shows Reason while a pairing is on, to whoever is pairing.
	Hint
	// Halt closes the socket, to stay closed until somebody acts.
	Halt
	// ShowQR shows the codes in Signal.Codes one after the other.
	ShowQR
)

// Signal is what a connection has to say: a row of wa's table, filled in.
type Signal struct {
	State  session.State // empty: unchanged
	Reason string
	Action session.UserAction
	Event  string // type of the webhook event
	Then   Then
	After  time.Duration // with Retry, Pause, Yield: not before this has passed
	UpTo   time.Duration // with Retry: After doubles with every failure up to this; 0: it stays
	Codes  []string      // with ShowQR

	Version string // with Renew: the one that was refused

	JID, LID, Name string // where newly known
}
