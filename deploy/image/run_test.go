package image

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// The image runs as its own user with a read-only root and without capabilities, serves
// what it should, and exits with 0 when it is stopped as Kubernetes does it.
func TestRunsWithoutRightsAndStops(t *testing.T) {
	needDocker(t)
	image := serviceImage(t)
	manifests := readable(t, "../../examples/cluster")
	id := run(t, image, []string{"--volume", manifests + ":/manifests:ro", "--publish", "127.0.0.1::8080", "--publish", "127.0.0.1::9090"},
		"--manifests", "/manifests")
	api, metrics := "http://"+published(t, id, "8080"), "http://"+published(t, id, "9090")

	eventually(t, api+"/health/ready", func(resp *http.Response, _ string) bool { return resp.StatusCode == http.StatusOK })
	eventually(t, api+"/api/v1/toolsets/grafana", func(resp *http.Response, body string) bool {
		return resp.StatusCode == http.StatusOK && strings.Contains(body, "grafana")
	})
	eventually(t, api+"/api/v1/nothing", func(resp *http.Response, body string) bool {
		return resp.StatusCode == http.StatusNotFound && resp.Header.Get("Content-Type") == "application/problem+json" && strings.Contains(body, `"status":404`)
	})
	eventually(t, metrics+"/metrics", func(resp *http.Response, body string) bool {
		return resp.StatusCode == http.StatusOK && strings.Contains(body, `toolset_services_discovered{service_type="grafana"} 1`)
	})

	// The ids as the engine's machine sees them, whatever the image says.
	fields := strings.Fields(docker(t, "top", id, "-o", "pid,uid,gid"))
	if len(fields) != 6 || fields[4] != "65532" || fields[5] != "65532" {
		t.Errorf("docker top says %q; want one process of 65532:65532", fields)
	}

	docker(t, "stop", "-t", "45", id)
	var state struct {
		ExitCode  int
		OOMKilled bool
		Error     string
	}
	if err := json.Unmarshal([]byte(docker(t, "inspect", "--format", "{{json .State}}", id)), &state); err != nil {
		t.Fatal(err)
	}
	// A container that is killed after its grace has 137.
	if state.ExitCode != 0 || state.OOMKilled || state.Error != "" {
		t.Errorf("it ended so: %+v", state)
	}
}

// Health checks use the CA roots in the place where Go looks for them: with the CA of a
// back end there it is healthy, with the image's own roots it is not.
func TestHealthChecksTrustTheCAFile(t *testing.T) {
	needDocker(t)
	image := serviceImage(t)
	ca, certificate := newCA(t)
	backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "well") }))
	backend.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	backend.Config.ErrorLog = log.New(io.Discard, "", 0) // one of the checks must fail
	backend.StartTLS()
	defer backend.Close()

	dir := t.TempDir()
	writeFile(t, dir+"/ca.crt", ca, 0o644)
	writeFile(t, dir+"/service.yaml", fmt.Appendf(nil, `apiVersion: v1
kind: Service
metadata:
  name: private
  namespace: shop
  annotations:
    kubernaut.io/toolset: "true"
    kubernaut.io/toolset-endpoint: %s
    kubernaut.io/toolset-health-path: /
spec:
  ports: [{name: https, port: 443}]
`, backend.URL), 0o644)

	for name, c := range map[string]struct {
		mounts []string
		want   string
	}{
		"with the back end's CA": {[]string{"--volume", dir + "/ca.crt:/etc/ssl/certs/ca-certificates.crt:ro"}, `"healthy":true`},
		"with the image's CAs":   {nil, "the certificate is signed by an unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			api := testenv.FreeAddress(t)
			// With the machine's network, since the back end is on its loopback device.
			run(t, image, append(c.mounts, "--network", "host", "--volume", dir+"/service.yaml:/manifests/service.yaml:ro"),
				"--manifests", "/manifests", "--listen", api, "--metrics-listen", testenv.FreeAddress(t),
				"--allow-endpoint-cidrs", "127.0.0.0/8", "--health-attempts", "1")
			eventually(t, "http://"+api+"/api/v1/toolsets/private", func(_ *http.Response, body string) bool { return strings.Contains(body, c.want) })
		})
	}
}

// eventually asks url until good accepts the answer.
func eventually(t *testing.T, url string, good func(resp *http.Response, body string) bool) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for end := time.Now().Add(testenv.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close() //nolint:errcheck // it was only read
		if err == nil && good(resp, string(body)) {
			return
		}
		last = fmt.Sprintf("%s %v %.2000s", resp.Status, resp.Header, body)
	}
	t.Fatalf("%s never answered as expected; last: %s", url, last)
}

// published returns the address of a container's port on this machine.
func published(t *testing.T, id, port string) string {
	t.Helper()
	address, _, _ := strings.Cut(docker(t, "port", id, port+"/tcp"), "\n")
	if _, _, err := net.SplitHostPort(address); err != nil {
		t.Fatalf("docker port says %q: %v", address, err)
	}
	return address
}

// readable copies the files of a folder so that user 65532 can read them, whatever the
// umask of this checkout.
func readable(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.Chmod(to, 0o755); err != nil { // #nosec G302 -- everybody is to read it
		t.Fatal(err)
	}
	paths, err := filepath.Glob(dir + "/*")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(paths), err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path) // #nosec G304 -- our own files
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(to, filepath.Base(path)), content, 0o644)
	}
	return to
}

// writeFile writes a file with this mode, whatever the umask.
func writeFile(t *testing.T, path string, content []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, content, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// newCA returns a CA, and a certificate from it for 127.0.0.1.
func newCA(t *testing.T) (caPEM []byte, server tls.Certificate) {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, key
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, caKey := make(ca, ca, nil)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "back end"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, key := make(leaf, ca, caKey)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
