package health

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"kubernaut.io/dynamic-toolset/service"
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
		got := clean(tt.in, tt.limit)
		if got != tt.want || len(got) > tt.limit || !utf8.ValidString(got) {
			t.Errorf("clean(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func TestTook(t *testing.T) {
	for d, want := range map[time.Duration]string{
		100 * time.Microsecond:  "under 1 ms",
		3400 * time.Microsecond: "3 ms",
		5 * time.Second:         "5 s",
		1540 * time.Millisecond: "1.5 s",
		2 * time.Minute:         "120 s",
	} {
		if got := took(d); got != want {
			t.Errorf("took(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestReasonsOfFailures(t *testing.T) {
	target := compile(httpProbe("http://prometheus.monitoring.svc.cluster.local:9090/-/healthy"))
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
		{nil, errors.Join(errNoAnswer, io.EOF), "closed the connection without an answer"},
		{nil, io.ErrUnexpectedEOF, "closed the connection without an answer"},
		{nil, errors.Join(errHandshake, errors.New("remote error: <script>")), "the TLS handshake with prometheus"},
		{nil, errors.New(`malformed HTTP response "<script>"`), "is not valid HTTP/1.1"},
		{nil, errLongHeader, "the headers of the answer are longer than 64 KiB"},
	} {
		ctx := tt.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		o := failure(ctx, target, tt.err)
		if o.final || o.healthy || !strings.Contains(o.text, tt.want) || (tt.want == "") != (o.text == "") {
			t.Errorf("%v: got %+v, want %q", tt.err, o, tt.want)
		}
		if strings.Contains(o.text, "script") {
			t.Errorf("%q shows what the endpoint sent", o.text)
		}
	}
}

func TestInvalidProbesSayWhatToChange(t *testing.T) {
	long := strings.Repeat("a.", 130) + "example"
	for _, tt := range []struct {
		probe service.Probe
		want  string
	}{
		{service.Probe{}, "must be http or tcp"},
		{service.Probe{Kind: "icmp\n"}, `not icmp\n`},
		{httpProbe(""), "must start with http:// or https://"},
		{httpProbe("ftp://host/"), "must start with http:// or https://"},
		{httpProbe("file:///etc/passwd"), "must start with http:// or https://"},
		{httpProbe("gopher://host:70/"), "must start with http:// or https://"},
		{httpProbe("http:///path"), "has no host"},
		{httpProbe("http://:80/"), "has no host"},
		{httpProbe("http://user:secret@host/"), "credentials"},
		{httpProbe("http://user:secret@ho st/"), "not a valid URL"},
		{httpProbe("http://host:99999/"), "between 1 and 65535"},
		{httpProbe("http://host:0/"), "between 1 and 65535"},
		{httpProbe("http://höst/"), "visible ASCII"},
		{httpProbe("http://" + long + "/"), "253 bytes"},
		{httpProbe("http://host/\r\nX: y"), "not a valid URL"},
		{service.Probe{Kind: service.ProbeTCP, Address: "host"}, "host:port"},
		{service.Probe{Kind: service.ProbeTCP, Address: "host:http"}, "between 1 and 65535"},
		{service.Probe{Kind: service.ProbeTCP, Address: ":9092"}, "has no host"},
	} {
		got := compile(tt.probe)
		if !strings.Contains(got.invalid, tt.want) {
			t.Errorf("%+v: invalid = %q, want it to contain %q", tt.probe, got.invalid, tt.want)
		}
		if strings.Contains(got.invalid, "secret") {
			t.Errorf("%q shows a password", got.invalid)
		}
		h := check(t, Options{}, tt.probe)
		if h.Healthy || h.Reason != got.invalid || h.History[0].Attempts != 1 {
			t.Errorf("%+v: health %+v, want the reason %q after one attempt", tt.probe, h, got.invalid)
		}
	}
}

func TestTheReasonHoldsNoQuery(t *testing.T) {
	got := compile(httpProbe("https://host/a%20b/c\u202e?token=secret#frag"))
	if got.invalid != "" || got.what != "GET /a%20b/c%E2%80%AE" {
		t.Errorf("invalid %q, what %q", got.invalid, got.what)
	}
	if got.request.URL.RequestURI() != "/a%20b/c%E2%80%AE?token=secret" {
		t.Errorf("asks for %s", got.request.URL.RequestURI())
	}
}

func TestFullNamesAreLookedUpWithoutSearchDomains(t *testing.T) {
	for host, want := range map[string]string{
		"prometheus.monitoring.svc.cluster.local": "prometheus.monitoring.svc.cluster.local. prometheus.monitoring.svc.cluster.local",
		"prometheus.monitoring.svc":               "prometheus.monitoring.svc",
		"prometheus":                              "prometheus",
		"a.b.c.d.":                                "a.b.c.d.",
		"10.0.0.1":                                "10.0.0.1",
		"[fd00::1]":                               "fd00::1",
	} {
		if got := strings.Join(compile(httpProbe("http://"+host+"/")).names(), " "); got != want {
			t.Errorf("%s: got %q, want %q", host, got, want)
		}
	}
}

func TestOptionsOutOfBounds(t *testing.T) {
	_, err := New(Options{Interval: -1, Timeout: time.Hour, Attempts: -1, Backoff: -1,
		Concurrency: 1 << 20, HistorySize: -1, MaxIdleConns: -1, AllowCIDRs: loopback[:1:1]})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"Interval", "Timeout", "Attempts", "Backoff", "Concurrency", "HistorySize", "MaxIdleConns"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%q does not name %s", err, name)
		}
	}
}
