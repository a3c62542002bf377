package sim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"time"
)

// An authority signs the certificates of one control plane and its clients. Its key is
// only in this process.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte // the certificate that clients trust
}

// A pair is a certificate and its key, as PEM.
type pair struct{ cert, key []byte }

// Certificates are valid since an hour ago, as the clock may be set during a test, and
// for longer than any control plane runs.
const (
	validBefore = time.Hour
	validFor    = 30 * 24 * time.Hour
)

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := template(pkix.Name{CommonName: "simulated cluster"})
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the certificate authority: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{key: key, cert: cert, pem: pemBlock("CERTIFICATE", der)}, nil
}

// apiServer issues the API server's certificate, for the names by which it is reached
// from this host, from pods and from nodes. address is for the latter, and empty if
// there are none.
func (a *authority) apiServer(address string) (pair, error) {
	addresses := []string{"127.0.0.1", kubernetesServiceIP}
	if address != "" {
		addresses = append(addresses, address)
	}
	return a.server(pkix.Name{CommonName: "kube-apiserver"}, addresses,
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
}

// kubelet issues the certificate of a kubelet's own API, which the API server calls for
// logs, exec and port-forward.
func (a *authority) kubelet(node, address string) (pair, error) {
	return a.server(pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}, []string{address}, node)
}

func (a *authority) server(subject pkix.Name, addresses []string, names ...string) (pair, error) {
	t := template(subject)
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	t.DNSNames = names
	for _, address := range addresses {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(address))
	}
	return a.issue(t)
}

// client issues a certificate for a user. Kubernetes takes the user's name from the
// common name, and the groups from the organizations.
func (a *authority) client(user string, groups []string) (pair, error) {
	t := template(pkix.Name{CommonName: user, Organization: groups})
	t.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(t)
}

func (a *authority) issue(t *x509.Certificate) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return pair{}, fmt.Errorf("sign the certificate of %q: %w", t.Subject.CommonName, err)
	}
	keyPEM, err := encodeKey(key)
	return pair{cert: pemBlock("CERTIFICATE", der), key: keyPEM}, err
}

// template returns a certificate for digital signatures only, which is all that TLS
// needs of an ECDSA key. x509 chooses the serial number.
func template(subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject:   subject,
		NotBefore: now.Add(-validBefore), NotAfter: now.Add(validFor),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// newKey returns a private key for signing ServiceAccount tokens.
func newKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return encodeKey(key)
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pemBlock("EC PRIVATE KEY", der), nil
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
