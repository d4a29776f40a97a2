// Package credential keeps what makes the simulator the same server after a restart: the certificate authority and key
// of its TLS side, the root key of its Noise side, and the secret behind upload tokens.
package credential
