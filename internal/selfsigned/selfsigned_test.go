package selfsigned

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// Who has the certificate trusts it, for its own host and no other.
func TestNew(t *testing.T) {
	for _, host := range []string{"back-end.example.svc", "127.0.0.1"} {
		cert, key, err := New(host)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(cert)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: pool}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "other", Roots: pool}); err == nil {
			t.Errorf("the certificate of %s is one of another host", host)
		}
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: x509.NewCertPool()}); err == nil {
			t.Errorf("%s: somebody trusts it without having it", host)
		}
	}
}
