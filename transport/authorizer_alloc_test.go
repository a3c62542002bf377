package transport

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// anyone is a Reviewer that accepts all tokens and allows everything.
type anyone struct{}

func (anyone) Authenticate(context.Context, string) (*auth.Identity, error) {
	return &auth.Identity{Name: "system:serviceaccount:agents:holmesgpt"}, nil
}
func (anyone) Authorize(context.Context, *auth.Identity, auth.Action) (bool, error) {
	return true, nil
}

// authorizeEverything switches on authentication and the rate limit, on both ports.
func authorizeEverything(o *Options) {
	o.Auth = &Auth{Reviewer: anyone{}, Metrics: true}
	o.RateLimit = RateLimit{PerSecond: 1_000_000, Burst: 1_000_000}
}

// authorization1K has a token of the size of a service account's.
var authorization1K = "Bearer e30." + strings.Repeat("x", 1000) + ".c2ln"

// A lookup by a caller whose right is remembered allocates nothing either, nor does one
// by a client whose rate is limited by its address.
func TestLookupsDoNotAllocateBehindTheAuthorizer(t *testing.T) {
	if testenv.Race {
		t.Skip("the race detector allocates; make test runs this test once more without it")
	}
	for name, s := range map[string]*Server{
		"token and rate": lookupServer(t, authorizeEverything),
		"rate alone":     lookupServer(t, authorizeEverything, func(o *Options) { o.Auth = nil }),
	} {
		for _, l := range lookups {
			ctx := request(l.path, l.header, l.value)
			ctx.Request.Header.Set("Authorization", authorization1K)
			ctx.SetRemoteAddr(&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1})
			n := testing.AllocsPerRun(1000, func() {
				ctx.Response.Reset()
				s.apiPort.chain.Handle(ctx)
			})
			if n != 0 {
				t.Errorf("%s: %s: %v allocations for each lookup", name, l.name, n)
			}
			if code := ctx.Response.StatusCode(); code != 200 && code != 304 {
				t.Errorf("%s: %s: status %d", name, l.name, code)
			}
		}
	}
}

// BenchmarkAuthorizer compares lookups over real connections: without the authorizer,
// without it but with a token that is ignored, and behind it.
func BenchmarkAuthorizer(b *testing.B) {
	local := func(o *Options) { o.Listen, o.MetricsListen = "127.0.0.1:0", "127.0.0.1:0" }
	for _, c := range []struct {
		name   string
		auth   string
		change func(*Options)
	}{
		{"open", "", func(*Options) {}},
		{"open-with-token", "Authorization: " + authorization1K + "\r\n", func(*Options) {}},
		{"token", "Authorization: " + authorization1K + "\r\n", func(o *Options) { authorizeEverything(o); o.RateLimit = RateLimit{} }},
		{"token-and-rate", "Authorization: " + authorization1K + "\r\n", authorizeEverything},
	} {
		for _, path := range []string{"/api/v1/toolsets/p7", "/api/v1/toolsets"} {
			b.Run(c.name+path[strings.LastIndexByte(path, '/'):], func(b *testing.B) {
				s := lookupServer(b, c.change, local)
				if err := s.Start(b.Context()); err != nil {
					b.Fatal(err)
				}
				defer s.Shutdown(context.Background()) //nolint:errcheck // the end of a benchmark
				request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: x\r\nX-Request-ID: bench\r\n%s\r\n", path, c.auth)
				b.ReportAllocs()
				begin := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op") }()
				b.RunParallel(func(pb *testing.PB) {
					conn, err := net.Dial("tcp", s.Addr())
					if err != nil {
						b.Error(err)
						return
					}
					defer conn.Close() //nolint:errcheck // as above
					r := bufio.NewReaderSize(conn, 64<<10)
					for pb.Next() {
						if err := exchange(conn, r, request); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

var contentLength = []byte("Content-Length: ")

// cpuTime returns the CPU time of this process, which is client and server. A busy
// machine distorts it less than elapsed time.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// exchange sends a request and reads the answer, without allocating.
func exchange(conn io.Writer, r *bufio.Reader, request []byte) error {
	if _, err := conn.Write(request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && string(line[9:12]) != "200":
			return fmt.Errorf("answered %q", line)
		case len(line) == 2:
			_, err := r.Discard(length)
			return err
		case bytes.HasPrefix(line, contentLength):
			length = 0
			for _, c := range line[len(contentLength) : len(line)-2] {
				length = 10*length + int(c-'0')
			}
		}
	}
}

// BenchmarkAuthorizeFunc measures the authorizer inside the server, without connections.
func BenchmarkAuthorizeFunc(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*Options)
	}{
		{"open", func(*Options) {}},
		{"token", func(o *Options) { authorizeEverything(o); o.RateLimit = RateLimit{} }},
		{"rate", func(o *Options) { authorizeEverything(o); o.Auth = nil }},
		{"token-and-rate", authorizeEverything},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := lookupServer(b, c.change)
			ctx := request("/api/v1/toolsets/p7", "Authorization", authorization1K)
			ctx.SetRemoteAddr(&net.TCPAddr{IP: net.ParseIP("10.0.0.1"), Port: 1})
			begin := cpuTime(b)
			defer func() { b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op") }()
			for b.Loop() {
				ctx.Response.Reset()
				s.apiPort.chain.Handle(ctx)
			}
		})
	}
}
