package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// Exec, Attach and PortForward return a URL of the streaming server, to which the
// kubelet then connects for kubectl.

func (s runtimeService) Exec(_ context.Context, req *runtime.ExecRequest) (*runtime.ExecResponse, error) {
	if _, err := s.get(req.ContainerId); err != nil {
		return nil, err
	}
	return s.streams.GetExec(req)
}

func (runtimeService) Attach(context.Context, *runtime.AttachRequest) (*runtime.AttachResponse, error) {
	return nil, status.Error(codes.Unimplemented, "the simulated node cannot attach to a running container: use kubectl logs -f or kubectl exec")
}

func (s runtimeService) PortForward(_ context.Context, req *runtime.PortForwardRequest) (*runtime.PortForwardResponse, error) {
	if _, err := s.namespacesOf(req.PodSandboxId); err != nil {
		return nil, err
	}
	return s.streams.GetPortForward(req)
}

// streamRuntime has the methods that the streaming server calls. It is a separate type,
// as they have the names of gRPC methods.
type streamRuntime struct{ s *Server }

// Exec runs a command with the client's streams.
func (r streamRuntime) Exec(ctx context.Context, id string, args []string, in io.Reader, out, errs io.WriteCloser, tty bool, sizes <-chan remotecommand.TerminalSize) error {
	c, err := r.s.get(id)
	if err != nil {
		return err
	}
	ctx, finish, err := r.s.beginStream(ctx)
	if err != nil {
		return err
	}
	defer finish()
	cmd, err := r.s.command(ctx, c, args, tty)
	if err != nil {
		return err
	}
	var code int32
	if tty {
		code, err = r.s.runOnTerminal(ctx, c, cmd, in, out, sizes)
	} else {
		code, err = r.s.runOnPipes(ctx, c, cmd, in, out, errs)
	}
	if err != nil {
		return err
	}
	if code != 0 {
		return exitError(code)
	}
	return nil
}

// runOnPipes runs a command without a terminal. The client's input goes through a pipe,
// so that a client that never ends it does not hold up a command that has ended.
func (s *Server) runOnPipes(ctx context.Context, c *container, cmd *exec.Cmd, in io.Reader, out, errs io.WriteCloser) (int32, error) {
	// They are nil if the client did not ask for them.
	if out != nil {
		cmd.Stdout = out
	}
	if errs != nil {
		cmd.Stderr = errs
	}
	if in == nil {
		return s.runCommand(ctx, c, cmd, func() {})
	}
	childIn, feed, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	cmd.Stdin = childIn
	// Ends with the client's input, at the latest with the connection.
	go func() {
		_, _ = io.Copy(feed, in) // the command need not read all of it
		_ = feed.Close()
	}()
	return s.runCommand(ctx, c, cmd, func() { _ = childIn.Close() })
}

// runOnTerminal runs a command on a terminal, which is connected to the client, and has
// the size of the client's window.
func (s *Server) runOnTerminal(ctx context.Context, c *container, cmd *exec.Cmd, in io.Reader, out io.Writer, sizes <-chan remotecommand.TerminalSize) (int32, error) {
	master, slave, err := newTerminal()
	if err != nil {
		return 0, err
	}
	defer master.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	if in != nil {
		// Ends with the client's input, at the latest with the connection.
		go func() { _, _ = io.Copy(master, in) }()
	}
	go resizeTerminal(ctx, master, sizes)
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		if out == nil {
			out = io.Discard
		}
		_, _ = io.Copy(out, master) // EIO when the last process has closed it
	}()
	code, err := s.runCommand(ctx, c, cmd, func() { _ = slave.Close() })
	select {
	case <-copied:
	case <-ctx.Done():
	}
	return code, err
}

// beginStream returns a context that ends when Stop begins. Stop waits until finish is
// called.
func (s *Server) beginStream(ctx context.Context) (_ context.Context, finish func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.alive.Err() != nil {
		return nil, nil, status.Error(codes.Unavailable, "the runtime is being stopped")
	}
	s.streaming.Add(1)
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.alive, cancel)
	return ctx, func() {
		stop()
		cancel()
		s.streaming.Done()
	}, nil
}

// Attach is never called, since no URL for it is returned.
func (streamRuntime) Attach(context.Context, string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return errors.New("attach is not implemented")
}

// exitError is the exit code of a command, as the interface that the streaming server
// knows (k8s.io/utils/exec.ExitError).
type exitError int32

func (e exitError) Error() string   { return fmt.Sprintf("exit code %d", int32(e)) }
func (e exitError) String() string  { return e.Error() }
func (e exitError) Exited() bool    { return true }
func (e exitError) ExitStatus() int { return int(e) }
