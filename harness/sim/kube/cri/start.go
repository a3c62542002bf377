package cri

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// startTimeout bounds the time from the fork until the container's own program
	// runs. It takes 20 to 200 ms, most of it for the start of this large binary.
	startTimeout = 60 * time.Second

	// startFailed is the exit code of a container whose program was never executed, and
	// startError the reason, as in containerd.
	startFailed = 128
	startError  = "StartError"
)

// StartContainer returns when the container's own program runs.
func (s runtimeService) StartContainer(ctx context.Context, req *runtime.StartContainerRequest) (*runtime.StartContainerResponse, error) {
	c, err := s.beginStart(req.ContainerId)
	if err != nil {
		return nil, err
	}
	defer close(c.settled)
	if err := s.launch(ctx, c); err != nil {
		c.log.close()
		s.mu.Lock()
		c.exit(time.Now(), startFailed, startError, err.Error())
		s.mu.Unlock()
		s.log.line("container %s does not start: %v", c.name(), err)
		return nil, status.Errorf(codes.Unknown, "start the container: %v", err)
	}
	return &runtime.StartContainerResponse{}, nil
}

// beginStart reserves a container that was never started, for the caller to start it.
func (s *Server) beginStart(id string) (*container, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.containers[id]
	switch {
	case c == nil:
		return nil, noContainer(id)
	case c.state != runtime.ContainerState_CONTAINER_CREATED || c.starting:
		return nil, status.Errorf(codes.FailedPrecondition, "the container %q was started before: create a new one", id)
	case c.sandbox.state != runtime.PodSandboxState_SANDBOX_READY:
		return nil, status.Errorf(codes.FailedPrecondition, "the pod sandbox of container %q is stopped", id)
	}
	c.starting = true
	return c, nil
}

// launch starts the container's process 1. When it returns nil, the container's program
// runs, and a goroutine waits for its end.
func (s *Server) launch(ctx context.Context, c *container) error {
	if err := c.log.open(); err != nil {
		return err
	}
	streams, err := newStdio(c.cfg.Tty)
	if err != nil {
		return err
	}
	cmd, report, err := startInit(c, streams)
	streams.closeChildEnds()
	if err != nil {
		streams.closeOwnEnds()
		return err
	}
	streams.pump(c.log)
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := report.wait(ctx); err != nil {
		_ = cmd.Process.Kill() // if this fails, it has ended
		_ = cmd.Wait()
		streams.drain()
		return err
	}
	s.mu.Lock()
	c.state, c.startedAt, c.starting = runtime.ContainerState_CONTAINER_RUNNING, time.Now(), false
	c.process, c.enterable = cmd, true
	s.mu.Unlock()
	s.log.line("container %s runs, process %d", c.name(), cmd.Process.Pid)
	go s.await(c, streams) // ends with the process; Stop waits for it by c.done
	return nil
}

// Descriptors of a container's process 1 before it becomes the program.
const (
	instructionFD = 3 // an initSpec
	reportFD      = 4 // see initReport
)

// initEnv is the environment of process 1 before that. Without garbage collection and
// with one processor, this large binary starts faster.
var initEnv = []string{"GOGC=off", "GOMAXPROCS=1"}

// startInit starts a container's process 1 on the streams.
func startInit(c *container, streams *stdio) (*exec.Cmd, *initReport, error) {
	instruction, feed, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	report, out, err := os.Pipe()
	if err != nil {
		return nil, nil, errors.Join(err, instruction.Close(), feed.Close())
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{InitRoleName}, Env: initEnv,
		Stdin: streams.stdin, Stdout: streams.stdout, Stderr: streams.stderr,
		ExtraFiles: []*os.File{instruction, out}, // become instructionFD and reportFD
		SysProcAttr: &syscall.SysProcAttr{
			Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
			Setsid:     true, Setctty: c.cfg.Tty, // descriptor 0 is the terminal
		},
	}
	err = c.sandbox.namespaces.inside(cmd.Start)
	_, _ = instruction.Close(), out.Close() // the child has its own
	if err != nil {
		_, _ = feed.Close(), report.Close()
		return nil, nil, fmt.Errorf("start the container's process 1: %w", err)
	}
	// The instructions may be larger than a pipe's buffer. This ends when they are
	// read, or the process has ended.
	go func() {
		_ = encode(feed, c.spec) // the reader reports what is wrong with it
		_ = feed.Close()
	}()
	return cmd, &initReport{from: report}, nil
}

// initReport is what process 1 reports: reportReady immediately before it executes the
// program, or a sentence if something fails. If the exec succeeds, it closes the pipe.
type initReport struct{ from *os.File }

const (
	reportReady = "\x01"
	reportLimit = 16 << 10 // in bytes
)

// wait returns nil when the program was executed.
func (r *initReport) wait(ctx context.Context) error {
	defer r.from.Close()
	// A read in progress ends with the deadline.
	stop := context.AfterFunc(ctx, func() { _ = r.from.SetReadDeadline(time.Now()) })
	defer stop()
	text, err := io.ReadAll(io.LimitReader(r.from, reportLimit))
	if ctx.Err() != nil {
		return fmt.Errorf("the program was not executed in time: %w", ctx.Err())
	}
	if err != nil {
		return err
	}
	problem, ready := strings.CutPrefix(string(text), reportReady)
	switch {
	case problem != "":
		return errors.New(problem)
	case !ready:
		return errors.New("the process that prepares the container ended before it executed the program")
	}
	return nil
}
