// Package wasimclient builds what unmodified client libraries need to reach a simulator instead of WhatsApp: an HTTP
// client whose connections to web.whatsapp.com and mmg.whatsapp.net lead to it. It is for tests and tools.
//
//	server := ...
//	http, err := wasimclient.New(server.Endpoint(), server.RootCA())
//	whatsmeow.WACertPubKey = server.NoiseRoot() // Once for the process, before anything connects.
//	client := whatsmeow.NewClient(device, nil)
//	client.SetWebsocketHTTPClient(http)
//	client.SetPreLoginHTTPClient(http)
//	client.SetMediaHTTPClient(http)
package wasimclient

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

// timeout bounds the steps of connecting, each on its own.
const timeout = 5 * time.Second

// ErrNoCertificate is returned when the root is not a certificate in PEM.
var ErrNoCertificate = errors.New("root CA holds no certificate")

// redirected are the hosts of WhatsApp that the simulator stands for.
var redirected = map[string]bool{"web.whatsapp.com": true, "mmg.whatsapp.net": true}

// New makes a client that reaches the simulator at an endpoint, host:port, and trusts its root CA, in PEM. It may be
// shared by any number of WhatsApp clients. All other hosts are refused: a test must not talk to the world by mistake.
func New(endpoint string, rootCA []byte) (*http.Client, error) {
	transport, err := NewTransport(endpoint, rootCA)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: transport}, nil
}

// NewTransport makes the transport of [New].
func NewTransport(endpoint string, rootCA []byte) (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(rootCA) {
		return nil, ErrNoCertificate
	}
	dialer := &net.Dialer{Timeout: timeout}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, fmt.Errorf("dial simulator: %w", err)
			}
			if !redirected[host] {
				return nil, fmt.Errorf("dial simulator: %q is not a host of WhatsApp", host) //nolint:err113 // For people.
			}
			return dialer.DialContext(ctx, network, endpoint)
		},
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   timeout,
		ResponseHeaderTimeout: timeout,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       30 * time.Second,
	}, nil
}
