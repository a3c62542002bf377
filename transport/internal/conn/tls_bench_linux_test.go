package conn

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/transport/certificate/certtest"
)

// BenchmarkExchange measures the CPU time, in microseconds, that client and server
// together take for a request of 200 bytes and a response of 1,000: on a kept connection
// and on a new one, with and without TLS.
func BenchmarkExchange(b *testing.B) {
	authority, err := certtest.NewAuthority()
	if err != nil {
		b.Fatal(err)
	}
	settings := serverTLS(b, authority)
	for _, c := range []struct {
		name      string
		tls, kept bool
	}{{"kept/plain", false, true}, {"kept/TLS", true, true}, {"new/plain", false, false}, {"new/TLS", true, false}} {
		b.Run(c.name, func(b *testing.B) {
			tcp, err := Listen(context.Background(), "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer tcp.Close() //nolint:errcheck // the end of the benchmark
			o := Options{Log: zap.NewNop(), Limits: Limits{MaxConnections: 10, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, IdleTimeout: time.Minute}}
			if c.tls {
				o.TLS = settings
			}
			l := New(tcp, o)
			var client, server net.Conn
			open := func() {
				if client, err = net.Dial("tcp", tcp.Addr().String()); err != nil {
					b.Fatal(err)
				}
				if server, err = l.Accept(); err != nil {
					b.Fatal(err)
				}
				if c.tls {
					client = tls.Client(client, &tls.Config{RootCAs: authority.Pool, ServerName: "localhost"})
				}
			}
			var request, response, in, out [1000]byte
			sent := make(chan error)
			exchange := func() {
				go func() { // does the handshake of a new connection
					_, err := client.Write(request[:200])
					sent <- err
				}()
				if _, err := server.Read(in[:]); err != nil {
					b.Fatal(err)
				}
				if err := <-sent; err != nil {
					b.Fatal(err)
				}
				if _, err := server.Write(response[:]); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(client, out[:]); err != nil {
					b.Fatal(err)
				}
			}
			closeBoth := func() {
				client.Close() //nolint:errcheck // no longer used
				server.Close() //nolint:errcheck
			}
			open()
			exchange()
			begin := cpuTime(b)
			b.ResetTimer()
			for range b.N {
				if !c.kept {
					closeBoth()
					open()
				}
				exchange()
			}
			b.StopTimer()
			b.ReportMetric(float64((cpuTime(b)-begin).Microseconds())/float64(b.N), "cpu-us/op")
			closeBoth()
		})
	}
}

// cpuTime returns the CPU time of this process, which is client and server. A busy
// machine distorts it less than elapsed time.
func cpuTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
