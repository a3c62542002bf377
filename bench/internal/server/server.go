// Package server runs the servers of a comparison, each as a process of its
// own on a CPU of its own: this service, and others that answer the same requests
// with the same bytes.
//
// What the answers are is learnt from this service ([Fetch]), given to the others
// ([Options].Answers), and held against what each of them answers ([Verify]), so
// that no server is measured that does less than the others.
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
)

// Names returns all of them. The first is the one that the others learn their
// answers from.
func Names() []string { return []string{Ours, FastHTTP, NetHTTP, Chi, Nginx, Naive} }

// ErrMissing is that a server isn't installed on this machine. What Start
// returns then says how to get it.
var ErrMissing = errors.New("not installed")

// AnyCPU is the Options.CPU of a server that is pinned to no CPU.
const AnyCPU = -1

// Options are how a server is run.
type Options struct {
	// Dir is a folder that the server may write in; each gets one of its own
	// there. Whoever made it removes it.
	Dir string
	// CPU is the number of the one CPU that the server may use, from its first
	// instruction on; AnyCPU for all.
	CPU int
	// Binary is the service's, of sut.Build, for Ours.
	Binary string
	// Args are more arguments for Ours. With --kubeconfig among them it gets no
	// manifests.
	Args []string
	// Fields are header fields that Ours wants to see in requests, such as Authorization.
	Fields [][2]string
	// Answers are what the others answer. Ours needs none.
	Answers Set
}

// A Server is one that runs. End it with Stop, and keep it until then: a
// server may end when nothing refers to its Server any more.
type Server struct {
	s     started
	stop  sync.Once
	ended error // of Stop
}

// started is what each kind of server has behind it.
type started interface {
	addr() string
	pids() []int
	version() string
	stop() error
}

// Start runs the server of this name and returns when it answers.
func Start(ctx context.Context, name string, o Options) (*Server, error) {
	dir, err := os.MkdirTemp(o.Dir, strings.ReplaceAll(name, "/", "-")+"-")
	if err != nil {
		return nil, err
	}
	var s started
	switch {
	case name == Ours:
		s, err = startOurs(ctx, dir, o)
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
	return &Server{s: s}, nil
}

// Addr returns where the server listens: host and port of 127.0.0.1.
func (s *Server) Addr() string { return s.s.addr() }

// PIDs returns the server's processes, all that use CPU time and memory for it.
func (s *Server) PIDs() []int { return s.s.pids() }

// Version returns what the server is built on, such as "nginx/1.22.1",
// "fasthttp v1.78.0", "go1.26.8".
func (s *Server) Version() string { return s.s.version() }

// Stop ends the server and its processes. A second call only returns what the first
// one did.
func (s *Server) Stop() error {
	s.stop.Do(func() { s.ended = s.s.stop() })
	return s.ended
}
