package load

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	gorilla "github.com/gorilla/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Servers of the other protocols say who they are, too: in the headers of HTTP/2, in the
// metadata of gRPC, and in the response to a WebSocket handshake.
func TestSignatureOfOtherProtocols(t *testing.T) {
	const product = "envoy"
	h2 := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", product) }))
	h2.Config.Protocols = new(http.Protocols)
	h2.Config.Protocols.SetUnencryptedHTTP2(true)
	h2.Start()
	t.Cleanup(h2.Close)
	overH2 := config(h2.Listener.Addr().String(), record.New, 20)
	overH2.Protocol = record.HTTP2

	ws := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := (&gorilla.Upgrader{}).Upgrade(w, req, http.Header{"Server": {product}})
		if err == nil {
			echo(c)
			_ = c.Close()
		}
	}))
	t.Cleanup(ws.Close)

	var calls atomic.Int64
	named := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		if err := grpc.SetHeader(ctx, metadata.Pairs("server", product)); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
	address, _ := grpcServer(t, &calls, grpc.ChainUnaryInterceptor(named))

	for name, c := range map[string]Config{"h2": overH2, "grpc": grpcLoad(address), "websocket": webSocketLoad(ws.Listener.Addr().String(), "")} {
		_, summary := runUntil(t, c, func(_ *record.Request, n int) bool { return n == 3 })
		if got := summary.Clients[0].Server.Server; got != product {
			t.Errorf("%s: %q, not %q", name, got, product)
		}
	}
}
