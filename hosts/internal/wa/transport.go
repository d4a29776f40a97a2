package wa

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"time"
)

// Config says where WhatsApp is. The zero value means WhatsApp's own servers.
type Config struct {
	Endpoint  string    // host:port that stands in for web.whatsapp.com and mmg.whatsapp.net
	RootCA    []byte    // PEM of the authority that signed the endpoint's certificate
	NoiseRoot *[32]byte // public key that the Noise certificates are checked against

	// HealthInterval is the most that may pass between two pings of a connection; 0: whatsmeow's 30 s.
	HealthInterval time.Duration
}

// The deadlines of a connect. They belong into the transport: the context that whatsmeow's Connect takes
// lives as long as the socket, and its handshake holds a lock that Disconnect needs.
const (
	dialTimeout   = 5 * time.Second
	tlsTimeout    = 5 * time.Second
	headerTimeout = 5 * time.Second
)

// tlsSessions bounds the cache that lets reconnects skip the expensive half of the TLS handshake.
const tlsSessions = 64

var errBadRootCA = errors.New("root certificate is not PEM")

func newTransport(cfg Config) (*http.Transport, error) {
	tlsConfig := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(tlsSessions),
	}
	if cfg.RootCA != nil {
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(cfg.RootCA) {
			return nil, errBadRootCA
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if cfg.Endpoint != "" {
				addr = cfg.Endpoint
			}
			return dialer.DialContext(ctx, network, addr)
		},
		TLSClientConfig:       tlsConfig,
		TLSHandshakeTimeout:   tlsTimeout,
		ResponseHeaderTimeout: headerTimeout,
	}, nil
}
