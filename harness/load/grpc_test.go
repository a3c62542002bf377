package load

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"kubernaut.io/dynamic-toolset/harness/load/rpc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// grpcServer is a server of grpc-go with the health service and reflection.
func grpcServer(t *testing.T, calls *atomic.Int64, options ...grpc.ServerOption) (string, *grpc.Server) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	count := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		calls.Add(1)
		if err := grpc.SetHeader(ctx, metadata.Pairs("x-pod", "a")); err != nil {
			return nil, err
		}
		if c, ok := req.(*healthpb.HealthCheckRequest); ok && strings.HasSuffix(c.GetService(), "s") {
			d, err := time.ParseDuration(c.GetService())
			if err != nil {
				return nil, status.Error(codes.InvalidArgument, err.Error())
			}
			time.Sleep(d)
			return &healthpb.HealthCheckResponse{}, nil
		}
		return next(ctx, req)
	}
	s := grpc.NewServer(append(options, grpc.UnaryInterceptor(count))...)
	healthpb.RegisterHealthServer(s, health.NewServer())
	reflection.Register(s)
	go s.Serve(l) //nolint:errcheck // it ends with Stop
	t.Cleanup(s.Stop)
	return l.Addr().String(), s
}

// grpcLoad is a load of all classes that gRPC has.
func grpcLoad(address string) Config {
	return Config{
		Address: address, PodHeader: "X-Pod", ResponseTimeout: patience, DialTimeout: patience, Protocol: record.GRPC,
		Clients: []Client{
			{Class: record.Pooled, Rate: 100, Connections: 4}, {Class: record.New, Rate: 30},
			{Class: record.Slow, Rate: 8, Duration: 1500 * time.Millisecond},
		},
		Targets: []Target{
			{Path: rpc.HealthCheck, Method: "POST"},
			{Path: rpc.HealthCheck, Method: "POST", Body: `{"service":"{duration}"}`, Classes: []record.Class{record.Slow}},
		},
	}
}

func TestRightServerWithGRPC(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		var calls atomic.Int64
		address, _ := grpcServer(t, &calls)
		summary := expectNothingLost(t, grpcLoad(address), &calls)
		if opened := summary.Clients[0].Opened; opened != 4 {
			t.Errorf("%d kept connections were opened", opened)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		like, settings := secureServer(t, http.NotFoundHandler(), overHTTP1)
		var calls atomic.Int64
		address, _ := grpcServer(t, &calls, grpc.Creds(credentials.NewServerTLSFromCert(&like.TLS.Certificates[0])))
		c := grpcLoad(address)
		c.TLS = settings
		expectNothingLost(t, c, &calls)
	})
}

// met counts the connections that have brought a call, as a stats.Handler of a server.
type met struct{ connections atomic.Int64 }

type metOnce struct{}

func (*met) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, metOnce{}, new(sync.Once))
}

func (m *met) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, begins := s.(*stats.InHeader); begins {
		ctx.Value(metOnce{}).(*sync.Once).Do(func() { m.connections.Add(1) })
	}
}

func (*met) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (*met) HandleConn(context.Context, stats.ConnStats)                     {}

// A server that drains while calls are in flight, and goes on on another port in its
// place, loses none: GOAWAY is no loss. It must have accepted what was dialled before, as
// grpc-go resets the connections that are in its queue when it stops.
func TestDrainWithGRPC(t *testing.T) {
	var calls atomic.Int64
	accepted := &met{}
	first, old := grpcServer(t, &calls, grpc.StatsHandler(accepted))
	second, _ := grpcServer(t, &calls)
	var address atomic.Pointer[string]
	address.Store(&first)
	c := grpcLoad(first)
	var dialed atomic.Int64 // to the first
	var dialing sync.RWMutex
	c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		dialing.RLock()
		defer dialing.RUnlock()
		to := *address.Load()
		nc, err := new(net.Dialer).DialContext(ctx, network, to)
		if err == nil && to == first {
			dialed.Add(1)
		}
		return nc, err
	}
	slow, drained := 0, make(chan bool)
	all, _ := runUntil(t, c, func(r *record.Request, n int) bool {
		if n == 50 {
			dialing.Lock() // all dials to the first are done
			address.Store(&second)
			dialing.Unlock()
			go func() {
				defer close(drained)
				for end := time.Now().Add(patience); accepted.connections.Load() < dialed.Load() && time.Now().Before(end); {
					time.Sleep(time.Millisecond)
				}
				old.GracefulStop()
			}()
		}
		if r.Class == record.Slow {
			slow++
		}
		return slow >= 8
	})
	<-drained
	for i := range all {
		if all[i].Failed() {
			t.Errorf("%+v", all[i])
		}
	}
}

// What becomes of a call depends on what the server has said of it.
func TestFatesOfGRPC(t *testing.T) {
	for name, x := range map[string]struct {
		first func(p *h2Peer, id uint32)
		want  record.Outcome
		again int
	}{
		"GOAWAY below the stream": {func(p *h2Peer, id uint32) { p.WriteGoAway(0, http2.ErrCodeNo, nil) }, record.OK, 1},
		"GOAWAY above, and the end": {func(p *h2Peer, id uint32) {
			p.WriteGoAway(id, http2.ErrCodeNo, nil)
			p.c.CloseWrite()
		}, record.EOFBefore, 0},
		"the end without GOAWAY": {func(p *h2Peer, _ uint32) { p.c.CloseWrite() }, record.EOFBefore, 0},
		"RST_STREAM":             {func(p *h2Peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeInternal) }, record.StreamReset, 0},
		"UNAVAILABLE": {func(p *h2Peer, id uint32) {
			p.head(id, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "14")
		}, record.UnexpectedStatus, 0},
		"no gRPC": {func(p *h2Peer, id uint32) { p.head(id, true, ":status", "404", "content-type", "text/html") }, record.Malformed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			good, _ := grpcServer(t, &calls)
			s := h2Server(t, func(p *h2Peer) {
				if id := p.request(); id != 0 {
					x.first(p, id)
				}
			})
			c := config(s.address, record.New, 0.01)
			c.Protocol, c.Targets[0] = record.GRPC, Target{Path: rpc.HealthCheck, Method: "POST"}
			var dials atomic.Int64
			c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if dials.Add(1) > 1 {
					address = good
				}
				return new(net.Dialer).DialContext(ctx, network, address)
			}
			if r := first(t, c, 1)[0]; r.Outcome != x.want || r.Again != x.again {
				t.Errorf("%+v", r)
			}
		})
	}
}

// What can't be called is said before the load begins.
func TestMethodsOfGRPC(t *testing.T) {
	var calls atomic.Int64
	address, _ := grpcServer(t, &calls)
	bare := grpc.NewServer()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go bare.Serve(l) //nolint:errcheck // it ends with Stop
	t.Cleanup(bare.Stop)
	for name, x := range map[string]struct{ address, path, body, want string }{
		"by reflection":       {address, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "", "only unary methods"},
		"unknown to it":       {address, "/demo.None/Such", "", "does not know demo.None"},
		"no reflection":       {l.Addr().String(), "/demo.None/Such", "", "the server has no reflection"},
		"no method":           {address, "/grpc.health.v1.Health/Cheque", "", "its methods are Check, "},
		"a field that is not": {address, rpc.HealthCheck, `{"servise":"x"}`, "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := config(x.address, record.New, 10)
			c.Protocol, c.Targets[0] = record.GRPC, Target{Path: x.path, Method: "POST", Body: x.body}
			if _, err := Run(t.Context(), c, func(record.Request) {}); err == nil || !strings.Contains(err.Error(), x.want) {
				t.Errorf("%v, not %q", err, x.want)
			}
		})
	}
}
