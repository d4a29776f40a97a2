// Package noise is the server's half of WhatsApp's Noise_XX_25519_AESGCM_SHA256 handshake, with the certificate chain
// that proves the server's key, and the ciphers of the connection that follows.
//
// The order of the handshake, seen from the server:
//
//	<- prologue (4 bytes), clientHello{ephemeral}
//	-> serverHello{ephemeral, static*, certificate chain*}
//	<- clientFinish{static*, payload*}
//
// The starred fields are encrypted under the keys agreed so far. Afterwards both sides count their frames from zero and
// encrypt each with an empty associated data.
//
// The client's half exists as well ([Dial]): load generators and tests speak the protocol with it at a fraction of
// the memory of a whole client library.
package noise
