package health

import (
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

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
