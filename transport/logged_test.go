package transport_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
)

// secret stands for anything that must not be logged.
const secret = "SECRET.canary-0123456789"

// secretly returns requests with the secret wherever a client may put one: in values of
// header fields, well-formed or not, in the query, the body, the fragment, user
// information, trailers, and where a parser fails on it.
func secretly() []string {
	var all []string
	for _, h := range hostiles() {
		if strings.Contains(h.send, "Host: x\r\n") {
			all = append(all, strings.ReplaceAll(h.send, "Host: x\r\n", "Host: x\r\nAuthorization: Bearer "+secret+"\r\nCookie: a="+secret+"\r\n"))
		}
	}
	for _, name := range []string{"Authorization", "Proxy-Authorization", "Cookie", "Host", "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding", "Connection", "Expect", "Trailer", "Upgrade", "User-Agent", "If-None-Match", "Accept-Encoding", "Last-Event-ID", "X-Api-Key", "Origin", "Referer"} {
		for _, value := range []string{secret, "Bearer " + secret, secret + "\x00", "\x01" + secret, "Bearer " + secret + "\x00", secret + "\n x", "\xff" + secret, secret + "\x7f", strings.Repeat(secret, 300)} {
			for _, line := range []string{name + ": " + value, name + " : " + value, name + ": x\r\n " + value, name + "\x00: " + value, name + value} {
				all = append(all, get("/health", line+"\r\n"), post(line+"\r\n", "{}"))
			}
		}
	}
	return append(all,
		get("/health?access_token="+secret, ""), get("/api/v1/toolsets?type="+secret, ""), get("/api/v1/toolsets?"+secret+"=\x01", ""), get("/nothing?x="+secret+"\x7f", ""), get("/health#access_token="+secret, ""), get("http://user:"+secret+"@x/health", ""), get("http://"+secret+"@x:y/health", ""),
		"CONNECT user:"+secret+"@x:443 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /health HTTP/"+secret+"\r\n\r\n", secret+"\r\n\r\n", secret+" "+secret+" "+secret+"\r\n\r\n", "GET "+secret+" HTTP/1.1\r\nHost: x\r\n\r\n", "GET /health?x="+secret+" HTTP/9\r\n\r\n",
		post("Transfer-Encoding: chunked\r\n", secret+"\r\n"), post("Transfer-Encoding: chunked\r\n", "2;"+secret+"\x00\r\n{}\r\n0\r\n\r\n"), post("Transfer-Encoding: chunked\r\n", "0\r\nX: "+secret+"\x00\r\n\r\n"), post("Transfer-Encoding: chunked\r\n", "2\r\n{}"+secret+"\r\n0\r\n\r\n"),
		post("Content-Length: 24\r\n", secret), post("Content-Length: 60\r\n", `{"tools":[{"name":"`+secret+`"}]}             `), "\x16\x03\x01\x00\xa5"+secret, "\x16"+secret,
	)
}

// Nothing that may be a secret is logged, at any level, whatever happens to the request;
// and what is logged about clients is printable ASCII.
func TestNothingSecretIsLogged(t *testing.T) {
	for _, port := range []string{"plain", "over the limit", "TLS"} {
		t.Run(port, func(t *testing.T) {
			limits := func(o *options) { o.Limits.MaxHeaderBytes, o.Limits.MaxRequestBody = 4096, 4096 }
			var f *fixture
			switch port {
			case "TLS": // the client sends no TLS
				f, _ = startTLS(t, limits)
			case "plain":
				f = start(t, limits)
			default:
				f = start(t, func(o *options) { limits(o); o.Limits.MaxConnections = 1 })
				c := f.dial()
				c.write(getReady)
				c.read()
			}
			requests := secretly()
			if port != "plain" {
				requests = requests[len(requests)-300:]
			}
			for _, text := range append(requests, get("/\xe2\x80\xae%e2%80%ae", ""), get("/\u202e/\x80", "X-Request-ID: \u202e\r\n"), "\u202e / HTTP/1.1\r\nHost: x\r\n\r\n") {
				c, err := net.Dial("tcp", f.server.Addr())
				if err != nil {
					t.Fatal(err)
				}
				c.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
				io.WriteString(c, text)                 //nolint:errcheck // it may be refused half-way
				c.(*net.TCPConn).CloseWrite()           //nolint:errcheck
				io.Copy(io.Discard, c)                  //nolint:errcheck // its end is what counts
				c.Close()                               //nolint:errcheck
			}
			f.server.Shutdown(t.Context()) //nolint:errcheck // other tests look at that
			wantCleanLog(t, f, port == "plain")
		})
	}
}

func wantCleanLog(t *testing.T, f *fixture, errors bool) {
	t.Helper()
	enc := zapcore.NewMapObjectEncoder()
	kinds := map[string]int{}
	for _, e := range f.logs.All() {
		kinds[e.Message]++
		for _, field := range e.Context {
			field.AddTo(enc)
		}
		line := strings.ReplaceAll(fmt.Sprintf("%s %v", e.Message, enc.Fields), "µs", "us")
		clear(enc.Fields)
		if strings.Contains(line, "SECRET") || strings.Contains(line, "canary-0123") {
			t.Errorf("the log has the secret: %.300s", line)
		}
		if !visible(line) {
			t.Errorf("the log has %.300q", line)
		}
	}
	if errors && (kinds["HTTP connection"] < 100 || kinds["Request"] < 100) {
		t.Errorf("the log shows nothing: %v", kinds)
	}
}
