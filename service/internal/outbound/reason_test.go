package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"plain", 10, "plain"},
		{"exactly", 7, "exactly"},
		{"too long", 7, "too ..."},
		{"a\x00b\n", 50, `a\x00b\n`},
		{"\x1b[31mred", 50, `\x1b[31mred`},
		{"bidi \u202e", 50, `bidi \u202e`},
		{"\xff", 50, `\ufffd`},
		{"größe", 50, "größe"},
		{"ääää", 6, "ä..."},
		{"\n\n\n\n", 6, `\n...`},
		{"abc", 2, ".."},
		{"", 0, ""},
	} {
		got := Clean(tt.in, tt.limit)
		if got != tt.want || len(got) > tt.limit || !utf8.ValidString(got) {
			t.Errorf("Clean(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestReasonsOfFailures(t *testing.T) {
	const host, port = "prometheus.monitoring.svc.cluster.local", "9090"
	op := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{nil, op(syscall.ECONNREFUSED), "connection refused by prometheus.monitoring.svc.cluster.local:9090"},
		{nil, op(syscall.EHOSTUNREACH), "no route to "},
		{nil, op(syscall.ENETUNREACH), "no route to "},
		{nil, op(syscall.EMFILE), "ulimit -n"},
		{nil, op(syscall.EACCES), "failed: permission denied"},
		{nil, op(&net.DNSError{IsNotFound: true}), "name does not resolve: prometheus.monitoring.svc.cluster.local"},
		{ended, op(&net.DNSError{IsTimeout: true}), "no name server answered in time for prometheus."},
		{nil, op(&net.DNSError{}), "the lookup of the name failed: prometheus."},
		{ended, op(errors.New("i/o timeout")), ""}, // "no answer within 5 s" is added later
		{nil, errors.Join(ErrNoAnswer, io.EOF), "closed the connection without an answer"},
		{nil, io.ErrUnexpectedEOF, "closed the connection without an answer"},
		{nil, errors.Join(ErrHandshake, errors.New("remote error: <script>")), "the TLS handshake with prometheus"},
		{nil, errors.New(`malformed HTTP response "<script>"`), "is not valid HTTP/1.1"},
		{nil, errLongHeader, "the headers of the answer are longer than 64 KiB"},
	} {
		ctx := tt.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		text, final := Failure(ctx, host, port, tt.err)
		if final || !strings.Contains(text, tt.want) || (tt.want == "") != (text == "") {
			t.Errorf("%v: got %q, final %v, want %q", tt.err, text, final, tt.want)
		}
		if strings.Contains(text, "script") {
			t.Errorf("%q shows what the endpoint sent", text)
		}
	}
}

func TestFullNamesAreLookedUpWithoutSearchDomains(t *testing.T) {
	for host, want := range map[string]string{
		"prometheus.monitoring.svc.cluster.local": "prometheus.monitoring.svc.cluster.local. prometheus.monitoring.svc.cluster.local",
		"prometheus.monitoring.svc":               "prometheus.monitoring.svc",
		"prometheus":                              "prometheus",
		"a.b.c.d.":                                "a.b.c.d.",
		"10.0.0.1":                                "10.0.0.1",
		"fd00::1":                                 "fd00::1",
	} {
		if got := strings.Join(names(host), " "); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}
