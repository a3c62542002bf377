// Package contestant runs the servers of a comparison, each as a process of its
// own on a CPU of its own: this service, and others that answer the same requests
// with the same bytes.
//
// What the answers are is learnt from this service ([Fetch]), given to the others
// ([Options].Answers), and held against what each of them answers ([Verify]), so
// that no contestant is measured that does less than the others.
package contestant

import (
	"context"
	"errors"
)

// The names of the contestants.
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

// ErrMissing is that a contestant isn't installed on this machine. What Start
// returns then says how to get it.
var ErrMissing = errors.New("not installed")

// AnyCPU, as Options.CPU, pins a server to no CPU.
const AnyCPU = -1

// Options are how a contestant is run.
type Options struct {
	// Dir is a folder that the contestant may write in; each gets one of its own
	// there. Whoever made it removes it.
	Dir string
	// CPU is the number of the one CPU that the server may use, from its first
	// instruction on; AnyCPU for all.
	CPU int
	// Binary is the service's, of subject.Build, for Ours.
	Binary string
	// Args are more arguments for Ours. With --kubeconfig among them it gets no
	// manifests.
	Args []string
	// Answers are what the others answer. Ours needs none.
	Answers Set
}

// A Server is a contestant that runs. End it with Stop.
type Server struct{ s started }

// started is what each kind of contestant has behind it.
type started interface {
	addr() string
	pids() []int
	version() string
	stop() error
}

// Start runs the contestant of this name and returns when it answers.
func Start(ctx context.Context, name string, o Options) (*Server, error) {
	return nil, errors.New("not yet")
}

// Addr returns where the server listens: host and port of 127.0.0.1.
func (s *Server) Addr() string { return s.s.addr() }

// PIDs returns the server's processes, all that use CPU time and memory for it.
func (s *Server) PIDs() []int { return s.s.pids() }

// Version returns the version of what the server is built on, such as
// "nginx/1.22.1", "v1.78.0" of fasthttp.
func (s *Server) Version() string { return s.s.version() }

// Stop ends the server and its processes. A second call does nothing.
func (s *Server) Stop() error { return s.s.stop() }

// Command is the first argument by which a program that uses this package is
// told to be one of the servers: its main calls Main then.
const Command = "serve-contestant"

// Main is what a program's main does with the arguments after Command.
func Main(args []string) error { return errors.New("not yet") }
