package transport_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/transport"
	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// startTLS is start with a certificate. It also returns the folder in which the
// certificate is mounted.
func startTLS(t *testing.T, change func(*options)) (f *fixture, dir string) {
	t.Helper()
	dir = t.TempDir()
	f = start(t, func(o *options) {
		o.TLSCertFile, o.TLSKeyFile = authority().Issue(t, nil).Mount(t, dir)
		o.TLSRefresh = 10 * time.Millisecond
		if change != nil {
			change(o)
		}
	})
	return f, dir
}

// handshake opens a connection and returns the state after its handshake.
func (f *fixture) handshake(change func(*tls.Config)) (tls.ConnectionState, error) {
	config := f.tls.Clone()
	if change != nil {
		change(config)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: testenv.Patience}, "tcp", f.server.Addr(), config)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close() //nolint:errcheck // it has served its purpose
	return c.ConnectionState(), nil
}

// dialTCP opens a connection without a handshake.
func (f *fixture) dialTCP() *rawClient {
	f.t.Helper()
	c, err := net.Dial("tcp", f.server.Addr())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { c.Close() }) //nolint:errcheck // the end of a test
	if err := c.SetDeadline(time.Now().Add(testenv.Patience)); err != nil {
		f.t.Fatal(err)
	}
	return &rawClient{f.t, c, bufio.NewReader(c)}
}

// metric returns the value of a series as text; empty if there is none.
func (f *fixture) metric(series string) string {
	f.t.Helper()
	r, err := send(f.metricsURL, "GET", "/metrics", "")
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(r.body)) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(testenv.Patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// A certificate that can't be used is refused at the start, with a sentence that says
// why.
func TestTLSRefusedAtStart(t *testing.T) {
	good, other := authority().Issue(t, nil), authority().Issue(t, nil)
	certFile, keyFile := good.Write(t, t.TempDir())
	_, otherKey := other.Write(t, t.TempDir())
	expired, expiredKey := authority().Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).Write(t, t.TempDir())
	for name, c := range map[string]struct{ cert, key, want string }{
		"no key":         {certFile, "", "both"},
		"no certificate": {"", keyFile, "both"},
		"mismatch":       {certFile, otherKey, "not a certificate and its key"},
		"expired":        {expired, expiredKey, "expired on"},
		"missing":        {certFile + "x", keyFile, "does not exist"},
	} {
		_, err := transport.New(transport.Options{
			Catalogue: catalogue.New(identify, nil), Status: func() transport.Status { return transport.Status{} }, Log: zap.NewNop(),
			TLSCertFile: c.cert, TLSKeyFile: c.key,
		})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTLSVersionsAndProtocols(t *testing.T) {
	f, _ := startTLS(t, nil)
	for name, c := range map[string]struct {
		change   func(*tls.Config)
		protocol string // that was agreed on
		alert    string // "" if the handshake succeeds
	}{
		"no ALPN":      {nil, "", ""},
		"HTTP/1.1":     {func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, "http/1.1", ""},
		"HTTP/1.0":     {func(c *tls.Config) { c.NextProtos = []string{"http/1.0"} }, "http/1.0", ""},
		"h2, HTTP/1.1": {func(c *tls.Config) { c.NextProtos = []string{"h2", "http/1.1"} }, "http/1.1", ""},
		"h2 only":      {func(c *tls.Config) { c.NextProtos = []string{"h2"} }, "", "no application protocol"},
		"TLS 1.2":      {func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, "", ""},
		"TLS 1.1": {func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 }, "", // #nosec G402 -- what is to be refused
			"protocol version not supported"},
	} {
		state, err := f.handshake(c.change)
		switch {
		case c.alert == "" && err != nil, c.alert != "" && (err == nil || !strings.Contains(err.Error(), c.alert)):
			t.Errorf("%s: %v, want %q", name, err, c.alert)
		case err == nil && (state.NegotiatedProtocol != c.protocol || state.Version < tls.VersionTLS12):
			t.Errorf("%s: %q, version %x", name, state.NegotiatedProtocol, state.Version)
		}
	}
	if got := f.metric("toolset_tls_handshake_failures_total"); got != "2" {
		t.Errorf("%q handshakes failed, want 2", got)
	}
	if n := f.logs.FilterMessage("TLS handshake failed").Len(); n != 2 {
		t.Errorf("%d log lines", n)
	}
}

// The metrics say when the certificate expires; there are none without TLS.
func TestTLSMetrics(t *testing.T) {
	f, _ := startTLS(t, nil)
	var seconds float64
	if _, err := fmt.Sscan(f.metric("toolset_tls_certificate_expiry_seconds"), &seconds); err != nil || seconds > 3600 || seconds < 3000 {
		t.Errorf("a certificate for an hour expires in %v s (%v)", seconds, err)
	}
	g := start(t, nil)
	r, err := send(g.metricsURL, "GET", "/metrics", "")
	if err != nil || strings.Contains(string(r.body), "toolset_tls_") {
		t.Errorf("metrics of TLS without TLS, or %v", err)
	}
}

// If a new pair can't be used, the old one stays in use. That is logged once, and counted
// as long as it lasts.
func TestTLSBadPairKeepsTheOld(t *testing.T) {
	f, dir := startTLS(t, nil)
	before, err := f.handshake(nil)
	if err != nil {
		t.Fatal(err)
	}
	const reloads, failures = `toolset_tls_certificate_reloads_total{result="success"}`, `toolset_tls_certificate_reloads_total{result="failure"}`
	if f.metric(reloads) != "0" || f.metric(failures) != "0" {
		t.Errorf("at first: %s reloads, %s failures", f.metric(reloads), f.metric(failures))
	}
	bad := authority().Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	bad.Mount(t, dir)
	f.logged("The new TLS certificate can't be used; the old one stays")
	until(t, "three failures", func() bool { return len(f.metric(failures)) > 1 || f.metric(failures) > "2" })
	after, err := f.handshake(nil)
	if err != nil || !after.PeerCertificates[0].Equal(before.PeerCertificates[0]) {
		t.Errorf("the old certificate is not in use: %v", err)
	}
	if n := f.logs.FilterMessage("The new TLS certificate can't be used; the old one stays").Len(); n != 1 {
		t.Errorf("logged %d times", n)
	}
	authority().Issue(t, nil).Mount(t, dir)
	f.logged("TLS certificate reloaded")
	after, err = f.handshake(nil)
	if err != nil || after.PeerCertificates[0].Equal(before.PeerCertificates[0]) {
		t.Errorf("the new certificate is not in use: %v", err)
	}
	if f.metric(reloads) != "1" {
		t.Errorf("%s reloads", f.metric(reloads))
	}
}

// A certificate that expires in use stays in use for want of another, and the log says
// so.
func TestTLSExpiresInUse(t *testing.T) {
	f, dir := startTLS(t, nil)
	// On a busy machine a certificate may have expired before it is in use.
	const inUse, refused = "TLS certificate reloaded", "The new TLS certificate can't be used; the old one stays"
	for life := 2 * time.Second; ; life *= 2 {
		tried := f.logs.FilterMessage(refused).Len()
		authority().Issue(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(life) }).Mount(t, dir)
		until(t, "the certificate is in use or refused", func() bool {
			return f.logs.FilterMessage(inUse).Len() > 0 || f.logs.FilterMessage(refused).Len() > tried
		})
		if f.logs.FilterMessage(inUse).Len() > 0 {
			break
		}
	}
	f.logged("The TLS certificate has expired; clients refuse it until its files are replaced")
	var invalid x509.CertificateInvalidError
	if _, err := f.handshake(nil); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("the handshake: %v", err)
	}
}

// A client resumes a session only as long as the certificate is the same.
func TestTLSSessionsEndWithTheCertificate(t *testing.T) {
	f, dir := startTLS(t, nil)
	sessions := tls.NewLRUClientSessionCache(10)
	// The ticket comes with the response (TLS 1.3).
	ask := func() bool {
		config := f.tls.Clone()
		config.ClientSessionCache = sessions
		c, err := tls.Dial("tcp", f.server.Addr(), config)
		if err != nil {
			t.Fatal(err)
		}
		if err := oneRequest(c); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().DidResume
	}
	if first, second := ask(), ask(); first || !second {
		t.Errorf("resumed: %v, then %v", first, second)
	}
	authority().Issue(t, nil).Mount(t, dir)
	f.logged("TLS certificate reloaded")
	if ask() {
		t.Error("a session of the old certificate was resumed")
	}
}

// hello returns the first bytes that a client sends.
func hello(t *testing.T) string {
	t.Helper()
	client, server := net.Pipe()
	defer server.Close() //nolint:errcheck // the end of the function
	done := make(chan struct{})
	go func() {
		defer close(done)
		tls.Client(client, &tls.Config{ServerName: "localhost"}).Handshake() //nolint:errcheck // it is broken off
		client.Close()                                                       //nolint:errcheck
	}()
	defer func() { <-done }()
	buf := make([]byte, 8192)
	n, err := server.Read(buf)
	if err != nil || n < 100 {
		t.Fatalf("a hello of %d bytes, %v", n, err)
	}
	server.Close() //nolint:errcheck // ends the handshake
	return string(buf[:n])
}

// Handshakes that are not completed keep nobody waiting, and end.
func TestTLSSlowHandshakes(t *testing.T) {
	f, _ := startTLS(t, func(o *options) { o.Limits.ReadTimeout = 3 * time.Second })
	begin := time.Now()
	const n = 201
	var slow []*rawClient
	for i := range n {
		c := f.dialTCP()
		switch i % 3 {
		case 0: // silent
		case 1:
			c.write(hello(t)[:20])
		case 2:
			c.write(hello(t)) // and does not go on
		}
		slow = append(slow, c)
	}
	if r := f.do("GET", "/api/v1/toolsets", ""); r.StatusCode != 200 {
		t.Error(r)
	}
	if spent := time.Since(begin); spent > 3*time.Second {
		t.Logf("the machine was too slow (%s) for the request to have been among them", spent)
	}
	for i, c := range slow {
		b, err := io.ReadAll(c.r)
		if i%3 != 2 && (err != nil || len(b) > 0) {
			t.Fatalf("slow client %d got %q, %v; want the end of the connection", i, b, err)
		}
	}
	if d := time.Since(begin); d < 3*time.Second {
		t.Errorf("they were ended after %s", d)
	}
	// A handshake that never began is no failure: load balancers check ports in that way.
	want := fmt.Sprint(2 * n / 3)
	until(t, "failures counted", func() bool { return f.metric("toolset_tls_handshake_failures_total") == want })
}

// A client that sends plain HTTP to a port with TLS is told so in plain HTTP.
func TestPlainHTTPToATLSPort(t *testing.T) {
	f, _ := startTLS(t, func(o *options) { o.Limits.MaxRequestBody = 1000; o.Limits.ReadTimeout = 2 * time.Second })
	for name, request := range map[string]string{
		"lookup":        "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n\r\n",
		"probe":         "GET /ready HTTP/1.1\r\nHost: x\r\nX-Request-ID: mine\r\n\r\n",
		"command":       "POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.0":      "GET / HTTP/1.0\r\n\r\n",
		"unknown path":  "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"too large":     "POST /api/v1/discover HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
		"malformed":     "NONSENSE\r\n\r\n",
		"never ends":    "GET /api/v1/toolsets HTTP/1.1\r\nHost: x\r\n",
		"lower case":    "get / HTTP/1.1\r\nHost: x\r\n\r\n",
		"HTTP/2 and no": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := f.dialTCP()
		c.write(request)
		r := c.read()
		d := wantProblem(t, r, 400, "validation-error")
		if !strings.Contains(d.Detail, "https://") || !r.Close {
			t.Errorf("%s: close=%v, %s", name, r.Close, r)
		}
		if name == "probe" && (d.RequestID != "mine" || d.Instance != "/ready") {
			t.Errorf("%s: %s", name, r)
		}
		if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
			t.Errorf("%s: and then %q, %v", name, rest, err)
		}
	}
	c := f.dialTCP()
	c.write(strings.Repeat(getList, 3)) // a client that has not waited for the answer to the first
	wantProblem(t, c.read(), 400, "validation-error")
	if rest, err := io.ReadAll(c.r); err != nil || len(rest) > 0 {
		t.Errorf("pipelined: and then %q, %v", rest, err)
	}
	// The same on the metrics port.
	r, err := send("http://"+f.server.MetricsAddr(), "GET", "/metrics", "")
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, r, 400, "validation-error")
}

// A client that goes on sending while it is refused still receives the alert.
func TestTLSAlertArrives(t *testing.T) {
	f, _ := startTLS(t, nil)
	c := f.dialTCP()
	c.write("\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00") // a ServerHello
	f.logged("TLS handshake failed")
	time.Sleep(50 * time.Millisecond)
	for range 3 {
		c.write("more")
		time.Sleep(10 * time.Millisecond)
	}
	if b, err := io.ReadAll(c.r); err != nil || len(b) == 0 || b[0] != 0x15 {
		t.Errorf("%x, %v; want an alert", b, err)
	}
}

// What is neither TLS nor HTTP is refused with an alert, or the connection is closed.
func TestNeitherTLSNorHTTP(t *testing.T) {
	f, _ := startTLS(t, nil)
	for _, sent := range []string{"\x00\x00\x00\x00\x00\x00", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", "\x05\x01\x00\x00\x00", "\x16\x03\x01\xff\xff", "\x15\x03\x01\x00\x02\x02\x28", "\x16GET / HTTP/1.1\r\n\r\n"} {
		c := f.dialTCP()
		c.write(sent)
		b, err := io.ReadAll(c.r)
		if err != nil || len(b) > 0 && b[0] != 0x15 { // an alert
			t.Errorf("%q: %q, %v", sent, b, err)
		}
	}
}

// A client that sends TLS to a port with plain HTTP is told so at once in plain HTTP,
// which clients recognise.
func TestTLSToAPlainPort(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.ReadTimeout = 20 * time.Second })
	_, err := send("https://"+f.server.Addr(), "GET", "/api/v1/toolsets", "")
	if err == nil || !strings.Contains(err.Error(), "HTTP response to HTTPS client") {
		t.Errorf("a client of Go: %v", err)
	}
	c := f.dialTCP()
	c.write(hello(t))
	r := c.read()
	if d := wantProblem(t, r, 400, "validation-error"); !strings.Contains(d.Detail, "http://") || !r.Close {
		t.Errorf("%s", r)
	}
	// On a kept connection it is like any other malformed HTTP.
	k := f.dialTCP()
	k.write(getReady)
	k.read()
	k.write("\x16\x03\x01\r\n\r\n")
	wantProblem(t, k.read(), 400, "validation-error")
}

// A client that trusts another authority does not accept our certificate.
func TestTLSIsVerifiedByClients(t *testing.T) {
	f, _ := startTLS(t, nil)
	other, err := certtest.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	var unknown x509.UnknownAuthorityError
	if _, err := f.handshake(func(c *tls.Config) { c.RootCAs = other.Pool }); !errors.As(err, &unknown) {
		t.Errorf("the handshake: %v", err)
	}
	until(t, "the failure counted", func() bool { return f.metric("toolset_tls_handshake_failures_total") == "1" })
}
