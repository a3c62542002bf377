package identify

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identity"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

func newAsker(t *testing.T, timeout time.Duration) *asker {
	a := &asker{dialer: outbound.NewDialer(loopback, nil), timeout: timeout, sent: func(string) {}}
	t.Cleanup(a.close)
	return a
}

func TestGetSendsNothingSecret(t *testing.T) {
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.ContentLength != 0 {
			t.Errorf("%s with %d bytes", r.Method, r.ContentLength)
		}
		for name := range r.Header {
			if name != "User-Agent" && name != "Accept" {
				t.Errorf("sends %s: %q", name, r.Header[name])
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		io.WriteString(w, r.URL.RequestURI())
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	a := newAsker(t, time.Minute)
	for range 3 {
		if got := a.Get(t.Context(), server.URL+"/a%20b?q=vector(1)"); got.Status != 200 || string(got.Body) != "/a%20b?q=vector(1)" {
			t.Errorf("%d %q %s", got.Status, got.Body, got.Why)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections for three requests", conns.Load())
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer server.Close()
	if got := newAsker(t, time.Minute).Get(t.Context(), server.URL+"/"); got.Status != 302 || asked.Load() != 0 {
		t.Errorf("status %d, and the other address was asked %d times", got.Status, asked.Load())
	}
}

func TestCertificates(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }))
	defer server.Close()
	server.Config.ErrorLog = nil
	a := newAsker(t, time.Minute)
	if got := a.Get(t.Context(), server.URL+"/"); got.Status != 200 || got.TLS != service.TLSUntrusted {
		t.Errorf("a private CA: %d %q %s", got.Status, got.TLS, got.Why)
	}
	a = newAsker(t, time.Minute)
	a.roots = x509.NewCertPool()
	a.roots.AddCert(server.Certificate())
	if got := a.Get(t.Context(), server.URL+"/"); got.Status != 200 || got.TLS != service.TLSTrusted {
		t.Errorf("a known CA: %d %q %s", got.Status, got.TLS, got.Why)
	}
}

func TestHostileAnswers(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer func(net.Conn)
		check  func(identity.Answer) bool
	}{
		{"endless body", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
			for {
				if _, err := io.WriteString(c, strings.Repeat("[", 4096)); err != nil {
					return
				}
			}
		}, func(a identity.Answer) bool { return a.Status == 200 && a.Cut && len(a.Body) == identity.MaxBody }},
		{"endless chunks", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for {
				if _, err := io.WriteString(c, "1\r\na\r\n"); err != nil {
					return
				}
			}
		}, func(a identity.Answer) bool { return a.Status == 200 && a.Cut && len(a.Body) <= identity.MaxBody }},
		{"endless header", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-A: "+strings.Repeat("a", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}, func(a identity.Answer) bool { return a.Failure == identity.Broken && strings.Contains(a.Why, "64 KiB") }},
		{"endless interim answers", func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\n"); err != nil {
					return
				}
			}
		}, func(a identity.Answer) bool { return a.Failure == identity.Broken }},
		{"garbage", func(c net.Conn) { io.WriteString(c, "\xff\xfe<script>\r\n\r\n") },
			func(a identity.Answer) bool {
				return a.Failure == identity.Broken && !strings.Contains(a.Why, "script")
			}},
		{"a close", func(net.Conn) {}, func(a identity.Answer) bool { return a.Failure == identity.Broken }},
		{"a length that never comes", func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nhello")
			io.Copy(io.Discard, c)
		}, func(a identity.Answer) bool { return a.Status == 200 && a.Cut && string(a.Body) == "hello" }},
		{"silence", func(c net.Conn) { io.Copy(io.Discard, c) }, func(a identity.Answer) bool { return a.Failure == identity.Timeout }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, func(c net.Conn) {
				http.ReadRequest(bufio.NewReader(c))
				tt.answer(c)
			})
			got := newAsker(t, 500*time.Millisecond).Get(t.Context(), "http://"+url+"/")
			if !tt.check(got) {
				t.Errorf("status %d, failure %d (%s), cut %v, %d bytes", got.Status, got.Failure, got.Why, got.Cut, len(got.Body))
			}
		})
	}
}

func TestAddressesAreRefused(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	a := newAsker(t, time.Minute)
	a.dialer = outbound.NewDialer(nil, nil)
	for _, url := range []string{server.URL + "/", strings.Replace(server.URL, "127.0.0.1", "localhost", 1) + "/", "http://169.254.169.254/latest/meta-data/"} {
		if got := a.Get(t.Context(), url); got.Failure != identity.Unreachable || !strings.Contains(got.Why, "is refused") {
			t.Errorf("%s: %d %s", url, got.Status, got.Why)
		}
	}
	if got := a.Kafka(t.Context(), server.Listener.Addr().String()); got.Failure != identity.Unreachable || !strings.Contains(got.Why, "is refused") {
		t.Errorf("Kafka: %s", got.Why)
	}
}

// serve answers connections on loopback until the end of the test.
func serve(t *testing.T, handle func(net.Conn)) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// kafkaAnswer returns an answer to ApiVersions, version 0, that names these requests.
func kafkaAnswer(id uint32, code uint16, keys ...uint16) []byte {
	b := binary.BigEndian.AppendUint32(nil, id)
	b = binary.BigEndian.AppendUint16(b, code)
	b = binary.BigEndian.AppendUint32(b, uint32(len(keys)))
	for _, k := range keys {
		b = binary.BigEndian.AppendUint16(b, k)
		b = append(b, 0, 0, 0, 9)
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func TestKafka(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer []byte
		want   bool
	}{
		{"a broker", kafkaAnswer(correlationID, 0, 0, 1, 2, 3, 18, 22), true},
		{"an error", kafkaAnswer(correlationID, 35, 0, 1, 3, 18), false},
		{"of another request", kafkaAnswer(7, 0, 0, 1, 3, 18), false},
		{"without requests to fetch", kafkaAnswer(correlationID, 0, 18), false},
		{"an HTTP server", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), false},
		{"too long", []byte{0x7f, 0xff, 0xff, 0xff}, false},
		{"cut", kafkaAnswer(correlationID, 0, 0, 1, 3, 18)[:20], false},
		{"a wrong count", append([]byte{0, 0, 0, 10, 0x6b, 0x74, 0x6f, 0x6f, 0, 0}, 0xff, 0xff, 0xff, 0xff), false},
		{"nothing", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := serve(t, func(c net.Conn) {
				var head [4]byte
				if _, err := io.ReadFull(c, head[:]); err != nil {
					return
				}
				io.CopyN(io.Discard, c, int64(binary.BigEndian.Uint32(head[:])))
				c.Write(tt.answer)
			})
			if got := newAsker(t, 2*time.Second).Kafka(t.Context(), address); (got.Status == 200) != tt.want || !tt.want && got.Why == "" {
				t.Errorf("%d %s", got.Status, got.Why)
			}
		})
	}
}

// What brokers have really answered is taken for Kafka's.
func TestRecordedBrokers(t *testing.T) {
	files, err := filepath.Glob("../identity/testdata/recorded/kafka-*.json")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d recordings: %v", len(files), err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Kafka [][3]uint16 }
		if err := json.Unmarshal(data, &r); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		answer := binary.BigEndian.AppendUint32(nil, correlationID)
		answer = binary.BigEndian.AppendUint16(answer, 0)
		answer = binary.BigEndian.AppendUint32(answer, uint32(len(r.Kafka)))
		for _, api := range r.Kafka {
			for _, n := range api {
				answer = binary.BigEndian.AppendUint16(answer, n)
			}
		}
		if len(answer) > maxKafka || !isAPIVersions(answer) {
			t.Errorf("%s, %d bytes: not taken for Kafka's", f, len(answer))
		}
	}
}

func FuzzKafka(f *testing.F) {
	f.Add(kafkaAnswer(correlationID, 0, 0, 1, 3, 18)[4:])
	f.Fuzz(func(_ *testing.T, b []byte) {
		if len(b) >= 10 {
			isAPIVersions(b)
		}
	})
}

func TestIdentifyEndsWithItsContext(t *testing.T) {
	address := serve(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	id := testRules().Identify(ctx, service.Question{Type: "prometheus", URLs: []string{"http://" + address}}, newAsker(t, time.Hour))
	if id.Verdict != service.Unverified {
		t.Error(id)
	}
}
