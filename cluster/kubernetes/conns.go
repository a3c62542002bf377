package kubernetes

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/connrotation"

	"kubernaut.io/dynamic-toolset/cluster"
)

// ownConnections are connections to the API server that nothing else uses. They can be
// closed all at once, since after an outage connections may look alive for minutes
// although their packets are lost. And they know when something was last received on any
// of them: a server that sends something is alive, however long another answer takes.
type ownConnections struct {
	*connrotation.Dialer
	heard atomic.Int64 // Unix time in nanoseconds; 0: never
}

// withOwnConnections returns a copy of cfg that uses connections of its own.
func withOwnConnections(cfg *rest.Config) (*rest.Config, *ownConnections) {
	cfg = rest.CopyConfig(cfg)
	dial := cfg.Dial
	if dial == nil {
		dial = cluster.Dial
	}
	o := &ownConnections{}
	o.Dialer = connrotation.NewDialer(func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return heardConn{c, &o.heard}, nil
	})
	cfg.Dial = o.DialContext
	return cfg, o
}

// heardSince reports whether something has been received since t.
func (o *ownConnections) heardSince(t time.Time) bool { return o.heard.Load() >= t.UnixNano() }

type heardConn struct {
	net.Conn
	heard *atomic.Int64
}

func (c heardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}
