package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// The whole service over TLS, as a process whose certificate is mounted as a
// kubelet mounts it: both ports speak TLS, a new certificate is shown without a
// restart, and the end is as ever.
func TestServeTLS(t *testing.T) {
	authority, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	dir, secret := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.yaml"), []byte(fmt.Sprintf(prometheusManifest, "prometheus")), 0o600); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := authority.Issue(t, nil).Mount(t, secret)
	api, metricsPort := testenv.FreeAddress(t), testenv.FreeAddress(t)
	cmd := command(t, "--manifests", dir, "--listen", api, "--metrics-listen", metricsPort,
		"--tls-cert-file", certFile, "--tls-key-file", keyFile, "--shutdown-propagation-delay", "500ms", "--log-format", "json")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended if the test passed
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: authority.Pool}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}}
	// serial asks url and returns whose certificate answered.
	serial := func(url string) (string, error) {
		resp, err := client.Get(url)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close() //nolint:errcheck // only the status counts
		if resp.StatusCode != 200 || resp.ProtoMajor != 1 {
			return "", fmt.Errorf("%s, %s", resp.Status, resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.String(), nil
	}
	// changed asks until another certificate than before answers.
	changed := func(url, before string) string {
		t.Helper()
		var last error
		for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			now, err := serial(url)
			if err == nil && now != before {
				return now
			}
			last = err
		}
		t.Fatalf("%s never answered with a certificate other than %q; last: %v", url, before, last)
		return ""
	}
	first := changed("https://"+api+"/ready", "")
	authority.Issue(t, nil).Mount(t, secret)
	second := changed("https://"+api+"/api/v1/toolsets/prometheus", first)
	if third := changed("https://"+metricsPort+"/metrics", first); third != second {
		t.Errorf("the ports show %s and %s", second, third)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the service ended with %v", err)
	}
	for _, want := range []string{`"tls":true`, `"TLS certificate reloaded"`, "DD-007 Kubernetes-aware graceful shutdown complete"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
}
