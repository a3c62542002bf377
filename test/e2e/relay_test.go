package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// A relay is a proxy between one service and the API server. It can cut that service off
// while others go on.
type relay struct {
	target string

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

// throughRelay makes the kubeconfig lead to a new relay, which it returns.
func throughRelay(t *testing.T, kubeconfig string) *relay {
	t.Helper()
	cfg, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{}
	for _, cluster := range cfg.Clusters {
		r.target = strings.TrimPrefix(cluster.Server, "https://")
		cluster.Server = "https://" + l.Addr().String()
	}
	if err := clientcmd.WriteToFile(*cfg, kubeconfig); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close() //nolint:errcheck,gosec // the end of it
		r.cut()
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.join(client)
		}
	}()
	return r
}

// join copies bytes in both directions until one side ends.
func (r *relay) join(client net.Conn) {
	defer client.Close() //nolint:errcheck // the end of it
	server, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer server.Close() //nolint:errcheck // the end of it
	r.mu.Lock()
	if r.isCut {
		r.mu.Unlock()
		return
	}
	r.conns = append(r.conns, client, server)
	r.mu.Unlock()
	go func() {
		io.Copy(server, client) //nolint:errcheck // the error does not matter
		server.Close()          //nolint:errcheck,gosec // so does the other direction
	}()
	io.Copy(client, server) //nolint:errcheck // as above
}

// cut breaks all connections, as when the API server crashes, and every new one.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close() //nolint:errcheck,gosec // the end of it
	}
	r.isCut, r.conns = true, nil
}

// mend lets new connections pass again.
func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = false
}
