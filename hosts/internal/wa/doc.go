// Package wa is the adapter around whatsmeow: the one place that knows what WhatsApp's client library does.
//
// It implements the ports of package actor. Three tables make up most of it: what each whatsmeow event means
// for a session (events.go), what each whatsmeow error says about a message (errors.go), and how content
// becomes a WhatsApp message and back (encode.go; decode.go and the files named after it).
//
// whatsmeow is used unmodified, with its own reconnecting switched off: it has no jitter and starts at once,
// which turns one network blip into a storm (client.go, autoReconnect). Acks wait for our handlers
// (SynchronousAck, EnableDecryptedEventBuffer and AddEventHandlerWithSuccessStatus belong together).
package wa
