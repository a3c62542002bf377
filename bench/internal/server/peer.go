package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/sut"
)

const (
	startTimeout = time.Minute // until a server listens
	stopTimeout  = time.Minute // until it has ended; then it is killed
)

// A server serves on the listener until that is closed.
type server func(l net.Listener) error

// peers has the functions that make the other servers in Go from the answers they are to
// give.
var peers = map[string]func(Set) (server, error){
	FastHTTP: fastHTTP,
	NetHTTP:  netHTTP,
	Chi:      chiRouter,
	Naive:    naive,
}

// Command is the first argument of a program that is to be one of the servers. Its main
// function must then call Main with the arguments that follow.
const Command = "serve-contestant"

// Main runs a server until standard input ends. args are the program's arguments after
// Command.
func Main(args []string) error {
	if len(args) != 2 && len(args) != 4 || peers[args[0]] == nil {
		return fmt.Errorf("%s is for this program's own use", Command)
	}
	set, err := readSet(args[1])
	if err != nil {
		return err
	}
	serve, err := peers[args[0]](set)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if len(args) == 4 { // over TLS
		pair, err := tls.LoadX509KeyPair(args[2], args[3])
		if err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	}
	if _, err := fmt.Println(l.Addr()); err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(l) }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, os.Stdin) // after an error, too, the other end has gone
	}()
	select {
	case <-ended:
		return nil
	case err := <-failed:
		return err
	}
}

// A peer is one of the peers as a process, which runs this program once more.
type peer struct {
	name    string
	cmd     *exec.Cmd
	in      io.Closer
	at      string
	stderr  *strings.Builder
	release string // empty: that of a library, see version
}

func startPeer(ctx context.Context, name, dir string, o Options) (started, error) {
	if err := o.Answers.complete(); err != nil {
		return nil, err
	}
	if err := o.Answers.write(dir); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &peer{name: name, stderr: &strings.Builder{}}
	args := []string{Command, name, dir}
	if o.TLS != nil {
		args = append(args, o.TLS.Cert, o.TLS.Key)
	}
	p.cmd = exec.Command(self, args...) // #nosec G204 -- this program
	// It must end even if this program is killed.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return p, p.start(ctx, o.CPU)
}

// start starts the process and returns when it has printed its address.
func (p *peer) start(ctx context.Context, cpu int) (err error) {
	p.cmd.Stderr = p.stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := sut.OnCPU(cpu, p.cmd.Start); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("it did not listen within %v", startTimeout))
	defer cancel()
	unblock := context.AfterFunc(ctx, func() { _ = p.cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if !unblock() {
		err = errors.Join(context.Cause(ctx), err)
	}
	if err != nil {
		_ = p.cmd.Process.Kill() // it may have ended already
		return fmt.Errorf("%w: %w: %s", err, p.cmd.Wait(), p.stderr)
	}
	p.at = strings.TrimSpace(line)
	return nil
}

func (p *peer) addr() string { return p.at }
func (p *peer) pids() []int  { return []int{p.cmd.Process.Pid} }

func (p *peer) version() string {
	if p.release != "" {
		return p.release
	}
	self, _ := debug.ReadBuildInfo() // nil where there is none
	switch p.name {
	case FastHTTP:
		return "fasthttp " + moduleVersion(self, "github.com/valyala/fasthttp")
	case Chi:
		return "chi " + moduleVersion(self, "github.com/go-chi/chi/v5") + ", " + runtime.Version()
	}
	return runtime.Version()
}

// moduleVersion returns the version of a module in a program. Test binaries don't have it.
func moduleVersion(info *debug.BuildInfo, path string) string {
	if info != nil {
		for _, m := range info.Deps {
			if m.Path == path {
				return m.Version
			}
		}
	}
	return "of unknown version"
}

func (p *peer) stop() error {
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	if err := errors.Join(p.in.Close(), p.cmd.Wait()); err != nil {
		return fmt.Errorf("%w: %s", err, p.stderr)
	}
	return nil
}
