package load

import (
	"bufio"
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/https"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// secureServer is a server of net/http with TLS, and the settings to ask it.
func secureServer(t *testing.T, handler http.Handler, protocols func(*http.Protocols)) (*httptest.Server, *https.Settings) {
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	protocols(s.Config.Protocols)
	s.EnableHTTP2 = s.Config.Protocols.HTTP2()
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return s, &https.Settings{CA: string(ca), ServerName: "example.com"}
}

func overHTTP1(p *http.Protocols) { p.SetHTTP1(true) }

// allClasses is a load of all classes for rightHandler.
func allClasses(address string) Config {
	return Config{
		Address: address, PodHeader: "X-Pod", ResponseTimeout: patience, DialTimeout: patience,
		Clients: []Client{
			{Class: record.Pooled, Rate: 100, Connections: 4}, {Class: record.New, Rate: 30},
			{Class: record.Slow, Rate: 8, Duration: 1500 * time.Millisecond}, {Class: record.Stream, Connections: 2},
		},
		Targets: []Target{
			{Path: "/", ExpectJSON: true, Method: "PUT", Body: "{}", Header: map[string]string{"Content-Type": "application/json"}},
			{Path: "/slow?for={duration}", Classes: []record.Class{record.Slow}},
			{Path: "/watch", Classes: []record.Class{record.Stream}},
		},
	}
}

// expectNothingLost runs a load until some slow requests have ended, and expects that the
// server has seen each request once, and answered it.
func expectNothingLost(t *testing.T, c Config, requests *atomic.Int64) Summary {
	t.Helper()
	slow := 0
	all, summary := runUntil(t, c, func(r *record.Request, _ int) bool {
		if r.Class == record.Slow {
			slow++
		}
		return slow >= 4
	})
	if int(requests.Load()) != len(all) {
		t.Errorf("the server has seen %d requests, there are records of %d", requests.Load(), len(all))
	}
	for i := range all {
		if r := &all[i]; r.Failed() || r.Pod != "a" || r.Inferred || r.Protocol != c.withDefaults().Protocol || r.SentAfterClose || r.Again != 0 {
			t.Errorf("%+v", r)
		}
	}
	return summary
}

func TestRightServerWithTLS(t *testing.T) {
	var requests atomic.Int64
	s, settings := secureServer(t, rightHandler(t, &requests), overHTTP1)
	c := allClasses(s.Listener.Addr().String())
	c.TLS = settings
	summary := expectNothingLost(t, c, &requests)
	if opened := summary.Clients[0].Opened; opened != 4 {
		t.Errorf("%d kept connections were opened", opened)
	}
}

// tlsServer calls handle for each connection, with TLS on it, and ends it as handle
// returns: with close_notify, without, or by a reset.
func tlsServer(t *testing.T, handle func(c *tls.Conn, raw *net.TCPConn, n int64)) (string, *https.Settings) {
	like, settings := secureServer(t, http.NotFoundHandler(), overHTTP1)
	config := &tls.Config{Certificates: like.TLS.Certificates}
	s := startServer(t, func(c *serverConn) { handle(tls.Server(c.TCPConn, config), c.TCPConn, c.n) })
	return s.address, settings
}

// secureConnection dials and makes the handshake.
func secureConnection(t *testing.T, address string, settings *https.Settings) *connection {
	t.Helper()
	config, err := settings.Config(address, "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c, err := https.Client(t.Context(), conn, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return newConnection(c, time.Now())
}

func ask(c *connection, address string) record.Request {
	cfg := config(address, record.Blind, 1)
	r := record.Request{Class: record.Blind, Sent: time.Now()}
	c.exchange(&job{message: newMessage(&cfg, &Target{Method: "GET", Path: "/"}, record.Blind)}, patience, "X-Pod", &r)
	return r
}

// answer reads a request and sends a response.
func answer(c *tls.Conn, text string) {
	if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
		_, _ = io.WriteString(c, text)
	}
}

// How a server ends a kept connection is told with TLS as exactly as without. That of TLS
// 1.3 has session tickets to be read, which are no end.
func TestSentAfterCloseWithTLS(t *testing.T) {
	for name, x := range map[string]struct {
		end    func(c *tls.Conn, raw *net.TCPConn)
		want   record.Outcome
		after  bool
		detail string
	}{
		"close_notify": {func(c *tls.Conn, _ *net.TCPConn) { c.Close() }, record.EOFBefore, true, "EOF"},
		"FIN only":     {func(_ *tls.Conn, raw *net.TCPConn) { raw.CloseWrite() }, record.EOFBefore, true, "without the TLS alert close_notify"},
		"reset":        {func(_ *tls.Conn, raw *net.TCPConn) { raw.SetLinger(0); raw.Close() }, record.ResetBefore, true, ""},
		"nothing":      {func(c *tls.Conn, _ *net.TCPConn) {}, record.OK, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan bool)
			address, settings := tlsServer(t, func(c *tls.Conn, raw *net.TCPConn, _ int64) {
				answer(c, good)
				<-ended
				x.end(c, raw)
				ended <- true
				answer(c, good)
				_, _ = io.Copy(io.Discard, raw) // until the client closes
			})
			c := secureConnection(t, address, settings)
			if r := ask(c, address); r.Failed() || r.SentAfterClose {
				t.Fatalf("the first request: %+v", r)
			}
			ended <- true
			<-ended
			r := ask(c, address)
			if r.Outcome != x.want || r.SentAfterClose != x.after || !strings.Contains(r.Detail, x.detail) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What the server sends while the connection is idle is not lost by the look for its end.
func TestAnswerWithoutRequestWithTLS(t *testing.T) {
	ended := make(chan bool)
	address, settings := tlsServer(t, func(c *tls.Conn, _ *net.TCPConn, _ int64) {
		answer(c, good)
		<-ended
		_, _ = io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		ended <- true
	})
	c := secureConnection(t, address, settings)
	if r := ask(c, address); r.Failed() {
		t.Fatalf("the first request: %+v", r)
	}
	ended <- true
	<-ended
	if r := ask(c, address); r.Status != http.StatusRequestTimeout {
		t.Errorf("%+v", r)
	}
}

// A response that ends with its connection is complete only if the end was announced
// (RFC 9112, section 9.8).
func TestResponseWithoutLengthWithTLS(t *testing.T) {
	for want, end := range map[record.Outcome]func(c *tls.Conn, raw *net.TCPConn){
		record.OK:     func(c *tls.Conn, _ *net.TCPConn) { c.Close() },
		record.EOFMid: func(_ *tls.Conn, raw *net.TCPConn) { raw.CloseWrite() },
	} {
		address, settings := tlsServer(t, func(c *tls.Conn, raw *net.TCPConn, _ int64) {
			answer(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok")
			end(c, raw)
			_, _ = io.Copy(io.Discard, raw) // until the client closes
		})
		if r := ask(secureConnection(t, address, settings), address); r.Outcome != want {
			t.Errorf("%+v; want %s", r, want)
		}
	}
}

// Whoever asks in the wrong way is told so.
func TestWrongProtocol(t *testing.T) {
	plain := httptest.NewUnstartedServer(http.NotFoundHandler())
	plain.Config.ErrorLog = quiet
	plain.Start()
	t.Cleanup(plain.Close)
	// Servers with OpenSSL answer what is no TLS by an alert.
	onlyTLS, _ := tlsServer(t, func(_ *tls.Conn, raw *net.TCPConn, _ int64) {
		_, _ = raw.Read(make([]byte, 1024))
		_, _ = io.WriteString(raw, "\x15\x03\x01\x00\x02\x02\x16")
	})
	secure, settings := secureServer(t, http.NotFoundHandler(), overHTTP1)
	at := func(s *httptest.Server) string { return s.Listener.Addr().String() }
	for name, x := range map[string]struct {
		address  string
		protocol record.Protocol
		tls      *https.Settings
		want     string
	}{
		"TLS to a plain server":    {at(plain), record.HTTP1, settings, "the server does not speak TLS on this port"},
		"plain to a TLS server":    {onlyTLS, record.HTTP1, nil, "the server speaks TLS on this port"},
		"an authority not trusted": {at(secure), record.HTTP1, &https.Settings{}, "not signed by an authority that is trusted"},
		"another name":             {at(secure), record.HTTP1, &https.Settings{CA: settings.CA, ServerName: "other.example"}, "is for another name"},
		"HTTP/2 to HTTP/1.1":       {at(plain), record.HTTP2, nil, "the server speaks HTTP/1.1, not HTTP/2"},
		"HTTP/2 to TLS":            {onlyTLS, record.HTTP2, nil, "the server speaks TLS on this port"},
		"no HTTP/2 over TLS":       {at(secure), record.HTTP2, settings, "the server does not speak h2 over TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(x.address, record.New, 20)
			c.Protocol, c.TLS = x.protocol, x.tls
			r := first(t, c, 1)[0]
			if !r.Failed() || !strings.Contains(r.Detail, x.want) {
				t.Errorf("%q is not said: %+v", x.want, r)
			}
		})
	}
}

var quiet = log.New(io.Discard, "", 0)
