package credential

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	fileName = "credentials.json"
	fileMode = 0o600
	validity = 10 * 365 * 24 * time.Hour
)

var errDamaged = errors.New("damaged credentials")

// names are the hosts that the TLS certificate stands for.
var names = []string{"web.whatsapp.com", "mmg.whatsapp.net", "localhost"}

// Credentials are the keys of one simulator.
type Credentials struct {
	// CA is the certificate that clients must trust, in PEM.
	CA []byte
	// TLS is the certificate of the server, signed by the CA.
	TLS tls.Certificate
	// NoiseRoot is the private key which the Noise certificates are signed with.
	NoiseRoot [32]byte
	// Secret signs the tokens for uploads.
	Secret []byte
}

// file is the form in which credentials are kept.
type file struct {
	CA          string `json:"ca"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
	NoiseRoot   []byte `json:"noiseRoot"`
	Secret      []byte `json:"secret"`
}

// Load reads the credentials of a folder, or makes and keeps them if it has none. Without a folder they are made anew.
func Load(dir string) (*Credentials, error) {
	if dir == "" {
		made, err := generate(time.Now())
		if err != nil {
			return nil, err
		}
		return made.parse()
	}
	path := filepath.Join(dir, fileName)
	encoded, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	var kept file
	if err := json.Unmarshal(encoded, &kept); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return kept.parse()
}

// create makes credentials and keeps them; the file appears whole or not at all.
func create(path string) (*Credentials, error) {
	made, err := generate(time.Now())
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(made) //nolint:gosec // Keeping the secrets is what the file is for.
	if err != nil {
		return nil, fmt.Errorf("encode credentials: %w", err)
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, encoded, fileMode); err != nil {
		return nil, fmt.Errorf("write credentials: %w", err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return nil, fmt.Errorf("keep credentials: %w", err)
	}
	return made.parse()
}

func (f file) parse() (*Credentials, error) {
	pair, err := tls.X509KeyPair([]byte(f.Certificate), []byte(f.Key))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if len(f.NoiseRoot) != 32 || len(f.Secret) == 0 || f.CA == "" {
		return nil, errDamaged
	}
	return &Credentials{CA: []byte(f.CA), TLS: pair, NoiseRoot: [32]byte(f.NoiseRoot), Secret: f.Secret}, nil
}

// NoisePublic is the public half of the Noise root, which clients are told to trust.
func (c *Credentials) NoisePublic() ([32]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(c.NoiseRoot[:])
	if err != nil {
		return [32]byte{}, fmt.Errorf("read noise root: %w", err)
	}
	return [32]byte(private.PublicKey().Bytes()), nil
}

func generate(now time.Time) (file, error) {
	authority, authorityKey, err := makeAuthority(now)
	if err != nil {
		return file{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return file{}, fmt.Errorf("make server key: %w", err)
	}
	server, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: names[0]},
		DNSNames:     names,
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:    now.Add(-24 * time.Hour), NotAfter: now.Add(validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, authority, key.Public(), authorityKey)
	if err != nil {
		return file{}, fmt.Errorf("make server certificate: %w", err)
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return file{}, fmt.Errorf("encode server key: %w", err)
	}
	root, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return file{}, fmt.Errorf("make noise root: %w", err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	return file{
		CA: encode("CERTIFICATE", authority.Raw), Certificate: encode("CERTIFICATE", server),
		Key: encode("PRIVATE KEY", encodedKey), NoiseRoot: clamp(root.Bytes()), Secret: secret,
	}, nil
}

func makeAuthority(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make authority key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "wasim test authority"},
		NotBefore:    now.Add(-24 * time.Hour), NotAfter: now.Add(validity),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make authority: %w", err)
	}
	authority, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, nil, fmt.Errorf("read authority: %w", err)
	}
	return authority, key, nil
}

// clamp brings a Curve25519 key into the form that signatures by XEdDSA need.
func clamp(key []byte) []byte {
	key[0] &= 248
	key[31] &= 127
	key[31] |= 64
	return key
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
