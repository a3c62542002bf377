package transport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/transport"
)

// asked is a request as a strict parser sees it.
type asked struct {
	id   string
	head bool
}

// parseStrictly parses the requests on a connection by RFC 9112, without leniency except
// for a line feed alone behind an empty line or a request line, which no parser takes for
// anything else. It ends before the first byte that does not belong to a well-formed
// request, and behind a request that ends its connection.
func parseStrictly(b []byte) (all []asked) {
	for {
		for len(b) > 0 && (b[0] == '\n' || bytes.HasPrefix(b, []byte("\r\n"))) {
			b = b[bytes.IndexByte(b, '\n')+1:]
		}
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		parts := strings.Split(string(bytes.TrimSuffix(line, []byte("\r"))), " ")
		if !ok || len(parts) != 3 || !isToken(parts[0]) || parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" {
			return all
		}
		var fields map[string][]string
		if fields, rest, ok = parseFields(rest); !ok {
			return all
		}
		old := parts[2] != "HTTP/1.1"
		lengths, codings := fields["content-length"], fields["transfer-encoding"]
		if hosts := len(fields["host"]); hosts > 1 || hosts == 0 && !old || len(lengths) > 1 || len(codings) > 1 || len(lengths)+len(codings) > 1 ||
			len(codings) == 1 && (old || !strings.EqualFold(codings[0], "chunked")) {
			return all
		}
		r := asked{head: parts[0] == "HEAD"}
		if ids := fields["x-request-id"]; len(ids) > 0 {
			r.id = ids[0]
		}
		all = append(all, r)
		last := old || len(codings) == 1 // a request of HTTP/1.0 may end it, and a chunked one does
		for _, options := range fields["connection"] {
			for option := range strings.SplitSeq(options, ",") {
				last = last && !strings.EqualFold(strings.TrimSpace(option), "keep-alive") || strings.EqualFold(strings.TrimSpace(option), "close")
			}
		}
		if last || len(codings) == 1 {
			return all
		}
		n := uint64(0)
		if len(lengths) == 1 {
			var err error
			if n, err = strconv.ParseUint(lengths[0], 10, 63); err != nil {
				return all[:len(all)-1]
			}
		}
		if n > uint64(len(rest)) {
			return all
		}
		b = rest[n:]
	}
}

// parseFields reads a block of field lines.
func parseFields(b []byte) (fields map[string][]string, rest []byte, ok bool) {
	fields = map[string][]string{}
	for {
		line, rest, ok := bytes.Cut(b, []byte("\r\n"))
		if !ok {
			return nil, b, false
		}
		if b = rest; len(line) == 0 {
			return fields, rest, true
		}
		name, value, ok := strings.Cut(string(line), ":")
		if !ok || !isToken(name) || strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) >= 0 {
			return nil, b, false
		}
		name = strings.ToLower(name)
		fields[name] = append(fields[name], strings.Trim(value, " \t"))
	}
}

// fuzzedCatalogue is what a fuzzedServer answers from.
func fuzzedCatalogue() *catalogue.Catalogue {
	c := catalogue.New(identify, nil)
	c.Replace([]*corev1.Service{svc("monitoring", "prometheus", "prometheus"), svc("monitoring", "grafana", "grafana")})
	c.Build()
	return c
}

// fuzzedServer starts a server that answers every request at once.
func fuzzedServer(tb testing.TB, c *catalogue.Catalogue, eventLoop bool) *transport.Server {
	tb.Helper()
	s, err := transport.New(transport.Options{
		Listen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0", Catalogue: c, MaxWatchers: -1, EventLoop: eventLoop,
		Status:   func() transport.Status { return transport.Status{} },
		Discover: func(context.Context) error { return nil },
		Limits:   transport.Limits{MaxHeaderBytes: 4096, MaxRequestBody: 4096},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := s.Start(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Shutdown(context.Background()) }) //nolint:errcheck // the end of a test
	return s
}

// In any sequence of bytes the server sees the same requests as a strict parser. Each
// response is well-formed and belongs to the request in its place, by its identifier. One
// further response may say what is wrong with the rest, and then ends the connection.
func FuzzRequests(f *testing.F) {
	for _, h := range hostiles() {
		if len(h.send) < 6000 {
			f.Add([]byte(h.send))
		}
	}
	s := fuzzedServer(f, fuzzedCatalogue(), true)
	f.Fuzz(func(t *testing.T, sent []byte) {
		if len(sent) > 16<<10 {
			return
		}
		conn, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Skip(err) // out of ports
		}
		defer conn.Close()                                 //nolint:errcheck // the end of a test
		conn.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
		conn.Write(sent)                                   //nolint:errcheck // it may be refused half-way
		conn.(*net.TCPConn).CloseWrite()                   //nolint:errcheck
		got, err := io.ReadAll(conn)
		if err != nil && !isReset(err) {
			t.Fatalf("%v after %q", err, got)
		}
		want := parseStrictly(sent)
		for n := 0; len(got) > 0; {
			a, rest, err := cutAnswer(got, n < len(want) && want[n].head)
			if n >= len(want) && errors.Is(err, errPartial) {
				a, rest, err = cutAnswer(got, true) // to a HEAD that was refused
			}
			if err != nil {
				t.Fatalf("response %d: %v: %.500q", n+1, err, got)
			}
			got = rest
			if a.status == 100 {
				continue
			}
			if err := a.check(); err != nil {
				t.Fatalf("response %d: %v: %s", n+1, err, a)
			}
			// 503: event streams are switched off here.
			if a.status >= 500 && a.status != 505 && !(a.status == 503 && a.field("retry-after") == "3600") {
				t.Fatalf("response %d: %s", n+1, a)
			}
			if a.closes() && len(got) > 0 {
				t.Fatalf("response %d says that the connection ends; more follows: %q", n+1, got)
			}
			refused := a.status >= 400 && a.closes()
			switch {
			case n >= len(want) && !refused:
				t.Fatalf("response %d, but a strict parser sees %d requests: %s", n+1, len(want), a)
			case n < len(want) && !refused && plausible(want[n].id) && a.id() != want[n].id:
				t.Fatalf("response %d has the identifier %q, the request in its place %q", n+1, a.id(), want[n].id)
			}
			n++
		}
	})
}

// plausible reports whether an identifier would be sent back.
func plausible(id string) bool {
	return id != "" && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
