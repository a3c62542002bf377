package hotpath

import (
	"maps"
	"net/http"
	"reflect"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// connections is the number of connections for each processor. With these the server
// always has work, as under load, and does not have to wake up for each request.
const connections = 8

// BenchmarkLookup measures the lookups. The names of its benchmarks are lists of key=value
// for benchstat's -col, -row and -filter.
func BenchmarkLookup(b *testing.B) {
	for _, network := range []string{memory, tcp} {
		toolset, authorized := serveToolset(b, network, false), serveToolset(b, network, true)
		for _, l := range lookups {
			name := "net=" + network + "/lookup=" + l.name + "/server="
			b.Run(name+"fasthttp", func(b *testing.B) {
				answer, body := fetch(b, toolset, l, false)
				measure(b, serveBare(b, network, l, answer, body), l, false)
			})
			b.Run(name+"toolset", func(b *testing.B) { measure(b, toolset, l, false) })
			b.Run(name+"toolset-auth", func(b *testing.B) { measure(b, authorized, l, true) })
		}
	}
}

// measure sends b.N lookups on several connections at a time.
func measure(b *testing.B, dial dialer, l lookup, withToken bool) {
	n := connections * runtime.GOMAXPROCS(0)
	clients := make(chan *client, n)
	for range n {
		c := newClient(b, dial, l, withToken)
		if err := c.exchange(); err != nil { // so that the connection has its buffers
			b.Fatal(err)
		}
		clients <- c
	}
	b.SetParallelism(connections)
	b.ReportAllocs()
	b.ResetTimer()
	begin := cpuTime(b)
	b.RunParallel(func(pb *testing.PB) {
		c := <-clients
		for pb.Next() {
			// An operation is one lookup, and an exchange has c.depth of them.
			for range c.depth - 1 {
				if !pb.Next() {
					break
				}
			}
			if err := c.exchange(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the CPU time that this process, client and server, has used.
func cpuTime(tb testing.TB) time.Duration {
	tb.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// The servers that the benchmarks compare give the same answers, and these are the expected
// ones.
func TestServersAnswerTheSame(t *testing.T) {
	for _, network := range []string{memory, tcp} {
		dial := serveToolset(t, network, false)
		for _, l := range lookups {
			answer, body := fetch(t, dial, l, false)
			bare, bareBody := fetch(t, serveBare(t, network, l, answer, body), l, false)
			if string(body) != string(bareBody) || !reflect.DeepEqual(comparable(answer), comparable(bare)) {
				t.Errorf("%s: %v and %v", l.name, answer, bare)
			}
			if len(answer.Header["X-Request-Id"]) != 1 || len(answer.Header["X-Served-By"]) != 1 || answer.StatusCode == 200 && len(body) == 0 {
				t.Errorf("%s: %v", l.name, answer)
			}
		}
	}
}

// comparable returns the header of an answer without the values that always differ.
func comparable(r *http.Response) http.Header {
	h := maps.Clone(r.Header)
	h["Date"], h["X-Request-Id"] = nil, nil
	return h
}
