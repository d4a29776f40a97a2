// Package content translates between what people say about a message (its type, text, file, target) and the protobuf
// that WhatsApp encrypts. It knows both ways: [Compose] for what a phone writes, [Read] for what it decrypted.
package content
