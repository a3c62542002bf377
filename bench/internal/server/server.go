// Package server runs the servers of a comparison: this service ("ours"), and others that
// answer the same requests with the same bytes. Each is a process of its own, which can be
// held on one CPU.
//
// Ours is started first, and [Fetch] gets its answers. The other servers are started with
// these answers ([Options].Answers). [Verify] then checks what they really answer, so that
// no server is measured that does less than the others.
package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
)

// The names of the servers.
const (
	Ours     = "ours"
	FastHTTP = "fasthttp"
	NetHTTP  = "net/http"
	Chi      = "chi"
	Nginx    = "nginx"
	Naive    = "naive"
	// Limit is the least that a server with epoll(7) can do: a program of one thread in C.
	Limit = "limit"
)

// Names returns the names of all servers, with Ours first.
func Names() []string {
	return []string{Ours, FastHTTP, NetHTTP, Chi, Nginx, Limit, Naive}
}

// ErrMissing is wrapped by the error of Start if the server is not installed on this
// machine. The error says how to install it.
var ErrMissing = errors.New("not installed")

// AnyCPU is the Options.CPU of a server that may use all CPUs.
const AnyCPU = -1

// Options configure a server.
type Options struct {
	// Dir is a folder in which Start makes another one for the server. The caller removes
	// it.
	Dir string
	// CPU is the number of the only CPU that the server may use, or AnyCPU.
	CPU int
	// Binary is the path of the service's binary, for Ours; see sut.Build.
	Binary string
	// Args are more arguments for Ours. Without --kubeconfig it reads its Services from
	// manifests.
	Args []string
	// Fields are header fields that Ours needs in requests, such as Authorization.
	Fields [][2]string
	// TLS makes the server speak TLS; nil: plain HTTP. Not all servers can.
	TLS *Certificate
	// Answers are the answers of the other servers. Ours needs none.
	Answers Set
}

// A Server is a running server. End it with Stop. Keep a reference to it until then: the
// process ends if the Server is garbage collected.
type Server struct {
	s     started
	tls   bool
	stop  sync.Once
	ended error // result of Stop
}

// started is implemented by each kind of server.
type started interface {
	addr() string
	pids() []int
	version() string
	stop() error
}

// Start starts the server of this name and returns when it answers.
func Start(ctx context.Context, name string, o Options) (*Server, error) {
	dir, err := os.MkdirTemp(o.Dir, strings.ReplaceAll(name, "/", "-")+"-")
	if err != nil {
		return nil, err
	}
	var s started
	switch {
	case name == Ours:
		s, err = startOurs(ctx, dir, o)
	case name == Limit:
		s, err = startLimit(ctx, dir, o)
	case name == Nginx:
		s, err = startNginx(ctx, dir, o)
	case peers[name] != nil:
		s, err = startPeer(ctx, name, dir, o)
	default:
		err = fmt.Errorf("there is no such contestant, but %s", strings.Join(Names(), ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("start the contestant %s: %w", name, err)
	}
	return &Server{s: s, tls: o.TLS != nil}, nil
}

// Addr returns the address of the server, such as "127.0.0.1:8080", or, with TLS,
// "https://127.0.0.1:8080".
func (s *Server) Addr() string {
	if s.tls {
		return tlsScheme + s.s.addr()
	}
	return s.s.addr()
}

// PIDs returns the ids of all processes of the server.
func (s *Server) PIDs() []int { return s.s.pids() }

// Version returns the version of the server's software, such as "nginx/1.22.1",
// "fasthttp v1.78.0" or "go1.26.8".
func (s *Server) Version() string { return s.s.version() }

// Stop ends the server's processes. It returns an error if they had ended before. Another
// call returns the result of the first.
func (s *Server) Stop() error {
	s.stop.Do(func() { s.ended = s.s.stop() })
	return s.ended
}
