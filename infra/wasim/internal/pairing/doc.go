// Package pairing is the cryptography of linking a companion to a phone: the QR text, the certificate that the phone
// issues, and the key exchange behind an eight-letter code. It holds no state; the protocol around it is the server's.
package pairing
