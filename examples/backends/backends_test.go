package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

const recordedDir = "../../service/identity/testdata/recorded"

// loopback returns an address of its own for a test. Only Linux has all of 127.0.0.0/8.
func loopback(last byte) netip.Addr {
	if runtime.GOOS != "linux" {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrFrom4([4]byte{127, 0, 31, last})
}

// startBackends runs the program until the test ends, and returns its DNS server and what
// it has told.
func startBackends(t *testing.T, at netip.Addr) (dns, told string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, out := io.Pipe()
	var tell bytes.Buffer
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, at, recordedDir, "127.0.0.1:0", out, &tell)
		out.CloseWithError(fmt.Errorf("it has ended: %v", err)) //nolint:errcheck // always nil
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if _, err := fmt.Fscanln(ready, &dns); err != nil {
		t.Fatal(err)
	}
	return dns, tell.String()
}

// Each stand-in is a Service of the example cluster, with the port; and each of them has
// answers.
func TestStandInsAreServicesOfTheExample(t *testing.T) {
	ports := map[string][]uint16{}
	files, err := os.ReadDir("../cluster")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile("../cluster/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		for doc := range bytes.SplitSeq(data, []byte("\n---\n")) {
			var svc corev1.Service
			if err := yaml.Unmarshal(doc, &svc); err != nil {
				t.Fatal(f.Name(), err)
			}
			for _, p := range svc.Spec.Ports {
				ports[svc.Name+"."+svc.Namespace] = append(ports[svc.Name+"."+svc.Namespace], uint16(p.Port)) // #nosec G115 -- a port
			}
		}
	}
	for _, s := range standIns {
		if !slices.Contains(ports[s.name+"."+s.namespace], s.port) || s.port < 1024 {
			t.Errorf("%s: the example has no such port %d that needs no rights", s.host(), s.port)
		}
		if (len(s.recorded) == 0) != (s.silent || s.absent) {
			t.Errorf("%s: %+v", s.host(), s)
		}
		p, err := loadProduct(os.DirFS(recordedDir), s.recorded)
		if err != nil {
			t.Error(err)
		}
		for _, r := range p {
			if r.Source == "" || r.Product == "" || len(r.Answers) == 0 {
				t.Errorf("%s: %q lacks a source, a product or answers", s.host(), s.recorded)
			}
		}
	}
}

// At one port the products answer by the name in the request, each as it has answered.
func TestAnswersByName(t *testing.T) {
	at := loopback(1)
	dns, told := startBackends(t, at)
	if told != "" {
		t.Fatal(told)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, dns)
	}}
	client := &http.Client{
		Timeout:       testenv.Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives: true, DialContext: (&net.Dialer{Resolver: resolver}).DialContext,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // #nosec G402 -- nobody trusts it
		},
	}
	for _, c := range []struct {
		url, host string
		status    int
		want      string
	}{
		{"http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090/prometheus/api/v1/status/buildinfo", "", 200, `"version":"2.42.0+ds"`},
		{"http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090/prometheus/-/healthy", "", 200, "Prometheus Server is Healthy."},
		{"http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090/api/v1/status/buildinfo", "", 404, "404 page not found"},
		{"http://kps-kube-prometheus-stack-prometheus.monitoring.svc.cluster.local:9090/", "", 302, ""},
		{"http://prometheus-server.shop.svc.cluster.local:9090/", "", 200, "<h2>Single-node VictoriaMetrics</h2>"},
		{"http://PROMETHEUS-server.shop.svc.cluster.local.:9090/", "", 200, "<h2>Single-node VictoriaMetrics</h2>"},
		{"http://checkout-prometheus.shop.svc.cluster.local:9090/api/v1/status/buildinfo", "", 404, "nginx"},
		{"http://kps-grafana.monitoring.svc.cluster.local:3000/api/health", "", 200, `"version": "11.0.0"`},
		{"http://kps-grafana.monitoring.svc.cluster.local:3000/api/search?limit=1", "", 401, "auth.unauthorized"},
		{"http://storefront.shop.svc.cluster.local:3000/api/health", "", 404, "nginx"},
		{"http://logs.shop.svc.cluster.local:3100/", "", 200, "Welcome to nginx!"},
		{"http://loki-gateway.logging.svc.cluster.local:3100/loki/api/v1/labels", "", 401, "no org id"},
		{"http://loki-gateway.logging.svc.cluster.local:3100/", "", 200, "OK"},
		{"https://audit-es-http.logging.svc.cluster.local:9200/", "", 401, "security_exception"},
		{"http://" + netip.AddrPortFrom(at, 9090).String() + "/", "", 421, "Host header"},
		{"http://" + netip.AddrPortFrom(at, 9090).String() + "/-/healthy", "kps-kube-prometheus-stack-alertmanager.monitoring.svc.cluster.local", 421, "Host header"}, // it is at another port
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = c.host
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // it was read
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.want) {
			t.Errorf("%s answered %d, %v, want %d with %q:\n%s", c.url, resp.StatusCode, err, c.status, c.want, body)
		}
	}
	for name, want := range map[string]string{
		"tempo.tracing.svc.cluster.local:3200":        "refused",
		"kps-grafana.monitoring.svc.cluster.local:80": "refused",
		"events-kafka-bootstrap.messaging.svc:9092":   "no such host",
		"incident-runbooks.shop.svc.cluster.local:80": "no such host",
		"example.com:80": "no such host",
		"kps-grafana.monitoring.svc.cluster.local.:80": "refused",
	} {
		c, err := (&net.Dialer{Resolver: resolver, Timeout: testenv.Patience}).DialContext(t.Context(), "tcp", name)
		if err == nil {
			c.Close() //nolint:errcheck // it should not be there
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	silent, err := (&net.Dialer{Resolver: resolver}).DialContext(t.Context(), "tcp", "audit-kb-http.logging.svc.cluster.local:5601")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // nothing is sent
	if err := silent.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("it does not hang: %v", err)
	}
}

// What is no query gets no answer, also over TCP, and ends nothing.
func TestDNSServerIgnoresNonsense(t *testing.T) {
	dns, _ := startBackends(t, loopback(2))
	for _, message := range [][]byte{{}, {1}, bytes.Repeat([]byte{0xff}, 600), make([]byte, 12)} {
		for _, network := range []string{"udp", "tcp"} {
			c, err := net.Dial(network, dns)
			if err != nil {
				t.Fatal(err)
			}
			if network == "tcp" {
				message = append(binary.BigEndian.AppendUint16(nil, uint16(len(message))), message...) // #nosec G115 -- short
			}
			_, _ = c.Write(message)
			c.Close() //nolint:errcheck // the server may have closed it
		}
	}
	for _, network := range []string{"udp", "tcp"} {
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, dns)
		}}
		got, err := resolver.LookupHost(t.Context(), "tempo.tracing.svc.cluster.local")
		if err != nil || !slices.Equal(got, []string{loopback(2).String()}) {
			t.Errorf("%s: %v %v", network, got, err)
		}
	}
}

// A port that somebody else uses is told, once; the names of its back ends don't exist, so
// that nobody asks the other one. The rest is there.
func TestPortInUse(t *testing.T) {
	at := loopback(3)
	other, err := net.Listen("tcp", netip.AddrPortFrom(at, 9090).String())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close() //nolint:errcheck // nobody connected
	dns, told := startBackends(t, at)
	if told != "Port 9090 can't be used (address already in use): the back ends of the example that would answer there stay unhealthy.\n" {
		t.Errorf("it says %q", told)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, dns)
	}}
	for _, s := range standIns {
		if _, err := resolver.LookupHost(t.Context(), s.host()); (err != nil) != (s.port == 9090) {
			t.Errorf("%s at port %d: %v", s.host(), s.port, err)
		}
	}
}
