package e2e

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// The whole service with TLS, as a process whose certificate is mounted as a kubelet does
// it: both ports use TLS, a new certificate is used without a restart, and the shutdown
// is as usual.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	secret := t.TempDir()
	certFile, keyFile := authority.Issue(t, nil).Mount(t, secret)
	p := serve(t, "--manifests", manifests(t, "prometheus"), "--tls-cert-file", certFile, "--tls-key-file", keyFile, "--shutdown-propagation-delay", "500ms")
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true}
	// serial returns the serial number of the certificate with which a port answers.
	serial := func(path string) (string, error) {
		resp, _, err := p.do(http.MethodGet, path)
		if err != nil {
			return "", err
		}
		if resp.StatusCode != 200 || resp.ProtoMajor != 1 {
			return "", fmt.Errorf("%s, %s", resp.Status, resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String(), nil
	}
	// changed repeats a request until the answer has another certificate than before.
	changed := func(path, before string) string {
		t.Helper()
		var last error
		for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			now, err := serial(path)
			if err == nil && now != before {
				return now
			}
			last = err
		}
		t.Fatalf("%s never answered with a certificate other than %q; last: %v", path, before, last)
		return ""
	}
	first := changed("/ready", "")
	authority.Issue(t, nil).Mount(t, secret)
	second := changed("/api/v1/toolsets/prometheus", first)
	if third := changed("/metrics", first); third != second {
		t.Errorf("the ports show %s and %s", second, third)
	}
	p.stop()
	for _, want := range []string{`"tls":true`, `"TLS certificate reloaded"`, "DD-007 Kubernetes-aware graceful shutdown complete"} {
		p.says(want)
	}
}
