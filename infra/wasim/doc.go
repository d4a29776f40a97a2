// Package wasim is a simulator of WhatsApp: a server that speaks the true protocol, so that real client libraries connect
// to it unmodified, and phones that pair, decrypt, answer and write like real ones.
//
// # What it is for
//
// WhatsApp's own servers cannot be used for tests, for load, or by somebody without a phone to spare. With the simulator,
// whatsmeow and Baileys run as they are (TLS, websocket, Noise handshake with certificates, binary XML, Signal
// encryption, media, receipts, retries, stream errors), and everything that may go wrong in production can be made
// to happen on demand, as often as wanted.
//
//	server, err := wasim.New(wasim.Options{})
//	err = server.Start(ctx)
//	server.AddPhone(ctx, wasim.NewPhone{Phone: "79001234567", Name: "Anna"})
//	server.Scan(ctx, "79001234567", qr) // as whatsmeow shows it
//	server.SendText(ctx, "79007654321", "79001234567", "hello")
//	message, err := server.AwaitMessage(ctx, "79007654321", func(m wasim.Message) bool { return m.Text == "hi" })
//
// How clients are led to it is told by package wasimclient. The command cmd/wasim runs it as a server of its own, with
// the control API that [Server.ControlHandler] serves.
//
// # How it is built
//
//	client ── wire ── noise ── stanza ── conn ─┬─ iq … encrypt, usync, pair, …
//	                                           ├─ message, receipt ──▶ mailbox of each device ──▶ conn
//	                                           │                                    └──▶ phone (decrypts, answers)
//	                                           └─ faults, journal, statistics
//
// A connection is one goroutine that reads and handles stanzas in their order. Another one writes, but only while
// there is something to write; an idle connection owns no buffers.
//
// Every device has a mailbox. It is the offline queue and the queue of the live connection in one: a stanza stays in it
// until the device acknowledges it, and everything unacknowledged is sent again at the next login. The phone of an
// account is device 0 and reads its mailbox like any other, in a goroutine that exists while there is mail.
//
// A message passes through these steps, and a process may be killed between any two of them:
//
//  1. The sender's stanza is put, invisibly, into the mailboxes of all devices it is encrypted for.
//  2. That, with the memory of its id for the recognition of duplicates, is written to the ledger as one.
//  3. The sender gets its ack. Only now may anybody else see the message, because clients must not hear of a delivery
//     before they hear of the ack.
//  4. The mailboxes are released: connections send, phones decrypt. What a phone does with a stanza (the moved ratchet,
//     the listed message, the receipt in the sender's mailbox, the stanza leaving its own) is again written as one.
//
// So an acked message is never lost, a ratchet never goes back, and a message is listed once unless it was sent twice.
//
// # Locks
//
// None is global on the way of a message. Accounts live in concurrent maps, the devices of an account in a list that is
// replaced as a whole, the journal in a ring without a lock. A phone's work lock is held from the first change of its
// ratchets until the change is in the ledger's queue; below it come, in this order and none at the same time as
// another, the locks of the phone, of a device's prekeys and of a mailbox.
//
// # What differs from WhatsApp
//
// There are no groups, channels, calls, history or app state; what clients ask about them is answered by nothing or
// "not found". Presence is taken and not passed on. Phones put keys into their first request for a retry, where real
// ones wait for the second. A QR can be scanned as long as its connection lives. Numbers need no registration.
package wasim
