package server

import (
	"errors"
	"os"
	"path/filepath"

	"kubernaut.io/dynamic-toolset/internal/selfsigned"
)

// tlsScheme begins the addresses of servers with TLS.
const tlsScheme = "https://"

// A Certificate is what a server with TLS has: the names of two PEM files.
type Certificate struct{ Cert, Key string }

// NewCertificate writes a certificate for 127.0.0.1 into dir.
func NewCertificate(dir string) (*Certificate, error) {
	cert, key, err := selfsigned.New("127.0.0.1")
	if err != nil {
		return nil, err
	}
	c := &Certificate{Cert: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key")}
	return c, errors.Join(
		os.WriteFile(c.Cert, cert, 0o600),
		os.WriteFile(c.Key, key, 0o600))
}
