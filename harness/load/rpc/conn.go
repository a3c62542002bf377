package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// maxMessage bounds a response.
const maxMessage = 1 << 20

// errSpent refuses a second connection.
var errSpent = errors.New("this client has one connection and no other")

// A Conn is one connection, on which calls are made.
type Conn struct {
	*grpc.ClientConn
	net   *watched
	ready atomic.Bool // gRPC has begun on the connection
	spent atomic.Bool // a second connection was asked for

	mu      sync.Mutex
	calls   int // under way
	retired bool
}

// New prepares calls on a connection. secure says that TLS is on it already.
func New(conn net.Conn, authority string, secure bool) (*Conn, error) {
	c := &Conn{net: &watched{Conn: conn}}
	var taken atomic.Bool
	dial := func(context.Context, string) (net.Conn, error) {
		if taken.Swap(true) {
			c.spent.Store(true)
			return nil, errSpent
		}
		return c.net, nil
	}
	var transport credentials.TransportCredentials = insecure.NewCredentials()
	if secure {
		transport = done{transport}
	}
	var err error
	c.ClientConn, err = grpc.NewClient("passthrough:///target",
		grpc.WithContextDialer(dial), grpc.WithTransportCredentials(transport), grpc.WithAuthority(authority), grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithIdleTimeout(0), grpc.WithStatsHandler(handler{}),
		grpc.WithUserAgent("dynamic-toolset-load"), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)))
	if err != nil {
		_ = conn.Close() // it is of no use
		return nil, err
	}
	return c, nil
}

// done are credentials for a connection that has TLS already. They make grpc-go use the
// scheme https.
type done struct {
	credentials.TransportCredentials
}

func (done) Info() credentials.ProtocolInfo { return credentials.ProtocolInfo{SecurityProtocol: "tls"} }

func (d done) Clone() credentials.TransportCredentials { return d }

// Usable reports whether another call can be made.
func (c *Conn) Usable() bool {
	if c.spent.Load() || c.net.end() != nil {
		return false
	}
	switch c.GetState() {
	case connectivity.Ready, connectivity.Connecting:
		return true
	case connectivity.Idle:
		return !c.ready.Load()
	}
	return false
}

// Retire lets the calls that are under way end, and then closes the connection. It does
// not wait.
func (c *Conn) Retire() {
	c.mu.Lock()
	c.retired = true
	idle := c.calls == 0
	c.mu.Unlock()
	if idle {
		c.Close()
	}
}

// count counts the calls that are under way.
func (c *Conn) count(change int) {
	c.mu.Lock()
	c.calls += change
	last := c.retired && c.calls == 0
	c.mu.Unlock()
	if last {
		c.Close()
	}
}

// Close closes the connection; what is under way is lost by that.
func (c *Conn) Close() {
	_ = c.ClientConn.Close() // it returns an error if it is closed already
	_ = c.net.Close()        // it may never have been taken
}

// A Result says what became of a call.
type Result struct {
	// Status is the server's, or grpc-go's own if the server sent none.
	Status *status.Status
	// FromServer: the server sent the status.
	FromServer bool
	// Begun: the response has begun.
	Begun  bool
	Header metadata.MD
	// Unprocessed: the call was not sent, or the server said that it did not process it.
	Unprocessed bool
	// Again is how often grpc-go sent the call again on this connection.
	Again int
	// Ended is how the connection ended; nil if it did not.
	Ended error
}

// Call makes a call. request is a message in its binary form.
func (c *Conn) Call(ctx context.Context, method string, request []byte, header map[string]string) *Result {
	c.count(1)
	defer c.count(-1)
	for name, value := range header {
		ctx = metadata.AppendToOutgoingContext(ctx, strings.ToLower(name), value)
	}
	t := new(trace)
	r := new(Result)
	var trailer metadata.MD
	var response []byte
	err := c.Invoke(context.WithValue(ctx, traceKey{}, t), method, request, &response,
		grpc.ForceCodec(raw{}), grpc.Header(&r.Header), grpc.Trailer(&trailer))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sent > 0 {
		c.ready.Store(true)
	}
	r.Status, r.Begun, r.FromServer, r.Again = status.Convert(err), t.begun, t.trailer, max(0, t.sent-1)
	r.Header = metadata.Join(r.Header, trailer)
	r.Ended = c.net.end()
	if err != nil && !t.trailer && status.Code(err) == codes.Unavailable && c.spent.Load() && strings.Contains(err.Error(), errSpent.Error()) {
		// grpc-go wanted another connection: for a call that it has not sent, or by a
		// transparent retry.
		r.Unprocessed = c.ready.Load() || t.sent > 0
	}
	return r
}

// IsReset reports whether the server ended the call by RST_STREAM. grpc-go says so in
// the status's text only.
func (r *Result) IsReset() bool {
	return !r.FromServer && strings.Contains(r.Status.Message(), "stream terminated by RST_STREAM")
}

// raw passes messages on in their binary form.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("a message is %T, not bytes", v)
	}
	return b, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("a message is %T, not bytes", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

// A trace has the events of one call.
type trace struct {
	mu             sync.Mutex
	sent           int // headers
	begun, trailer bool
}

type traceKey struct{}

// A handler takes the events of calls.
type handler struct{}

func (handler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (handler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

func (handler) HandleConn(context.Context, stats.ConnStats) {}

func (handler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	t, ok := ctx.Value(traceKey{}).(*trace)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch s.(type) {
	case *stats.OutHeader:
		t.sent++
	case *stats.InHeader:
		t.begun = true
	case *stats.InTrailer:
		t.trailer = true
	}
}

// watched keeps how a connection ended.
type watched struct {
	net.Conn
	mu     sync.Mutex
	err    error
	closed bool // by this side
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.note(err)
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.note(err)
	}
	return n, err
}

func (w *watched) note(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var t net.Error
	if err == nil || w.err != nil || w.closed || errors.As(err, &t) && t.Timeout() {
		return
	}
	w.err = err
}

// end returns how the server ended the connection; nil if it did not.
func (w *watched) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *watched) Close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	return w.Conn.Close()
}
