package e2e

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
)

// A relay stands before the API server for one service, which it can cut off while all
// others go on.
type relay struct {
	target string

	mu    sync.Mutex
	isCut bool
	conns []net.Conn
}

// throughRelay has the kubeconfig lead to the API server through a relay, which it returns.
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

// join copies what both sides say, until one of them ends.
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
		io.Copy(server, client) //nolint:errcheck // how it ends is no matter
		server.Close()          //nolint:errcheck,gosec // so does the other direction
	}()
	io.Copy(client, server) //nolint:errcheck // as above
}

// cut breaks all connections, as when the API server crashes, and each new one at once.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		c.Close() //nolint:errcheck,gosec // the end of it
	}
	r.isCut, r.conns = true, nil
}

// mend ends that.
func (r *relay) mend() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isCut = false
}
