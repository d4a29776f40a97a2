package wasimclient_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"wafleet/infra/wasim/wasimclient"
)

func TestHostsOfWhatsAppLeadToTheSimulator(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host)
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	transport, err := wasimclient.NewTransport(server.Listener.Addr().String(), root)
	require.NoError(t, err)
	transport.TLSClientConfig.ServerName = "example.com" // Whom the certificate of the test server stands for.
	client := &http.Client{Transport: transport}
	t.Cleanup(client.CloseIdleConnections)
	for _, host := range []string{"web.whatsapp.com", "mmg.whatsapp.net"} {
		response, err := client.Get("https://" + host) //nolint:noctx // A test.
		require.NoError(t, err)
		answer, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, host, string(answer))
	}
	for _, host := range []string{"example.com", "whatsapp.com", "localhost"} {
		_, err := client.Get("https://" + host) //nolint:noctx,bodyclose // A test; there is none.
		require.ErrorContains(t, err, "not a host of WhatsApp")
	}
}

func TestRootMustBeACertificate(t *testing.T) {
	t.Parallel()
	_, err := wasimclient.New("127.0.0.1:1", []byte("no PEM"))
	require.ErrorIs(t, err, wasimclient.ErrNoCertificate)
}
