package wa

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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
	// Gates finds the gate of the sockets that are opened under a lease; nil: they need none.
	Gates Gates
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

// ways are the two ways to WhatsApp that all connections of a host share.
type ways struct {
	sockets *http.Client
	media   *http.Client
}

func newWays(cfg Config) (*ways, error) {
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
	d := &dialer{endpoint: cfg.Endpoint, tls: tlsConfig, tcp: &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}}
	return &ways{
		sockets: &http.Client{Transport: &http.Transport{
			DialTLSContext: d.dialSocket,
			// A connection that was dialled for one company must never come to carry another one's frames, not even
			// when the first has given up meanwhile.
			DisableKeepAlives:     true,
			ResponseHeaderTimeout: headerTimeout,
		}},
		media: &http.Client{Transport: &http.Transport{
			DialContext:           d.dial,
			TLSClientConfig:       tlsConfig,
			TLSHandshakeTimeout:   tlsTimeout,
			ResponseHeaderTimeout: headerTimeout,
		}},
	}, nil
}

// dialer reaches WhatsApp's servers, or what stands in for them.
type dialer struct {
	endpoint string
	tls      *tls.Config
	tcp      *net.Dialer
}

func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if d.endpoint != "" {
		address = d.endpoint
	}
	return d.tcp.DialContext(ctx, network, address) //nolint:wrapcheck // the transport wraps it
}

// dialSocket opens the socket of a company: only while its host may, and every write after that too.
func (d *dialer) dialSocket(ctx context.Context, network, address string) (net.Conn, error) {
	l, _ := ctx.Value(linkKey{}).(*link)
	if l != nil && l.gate != nil {
		if err := l.gate.Pass(ctx.Done()); err != nil {
			return nil, fmt.Errorf("dial WhatsApp: %w", err)
		}
	}
	conn, err := d.dialTLS(ctx, network, address)
	if err != nil || l == nil || l.gate == nil {
		return conn, err
	}
	return newSocket(conn, l), nil
}

func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	name, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial WhatsApp: %w", err)
	}
	raw, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	config := d.tls.Clone()
	config.ServerName = name
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("secure connection to WhatsApp: %w", err), raw.Close())
	}
	return conn, nil
}
