// Package qrtext draws QR codes with characters, for terminals.
package qrtext
