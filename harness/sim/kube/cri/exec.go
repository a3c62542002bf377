package cri

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

const (
	// execOutputLimit bounds each output of ExecSync, in bytes. The CRI specifies it,
	// and that the rest is dropped.
	execOutputLimit = 16 << 20

	// execKillTimeout bounds the end of a command that was killed, and the time in
	// which processes that it has left may write output.
	execKillTimeout = 2 * time.Second
)

// command prepares a command in a running container, with the environment and rights of
// the container. It is killed when ctx ends. The caller sets the streams, and calls
// runCommand.
func (s *Server) command(ctx context.Context, c *container, args []string, terminal bool) (*exec.Cmd, error) {
	if len(args) == 0 {
		return nil, status.Error(codes.InvalidArgument, "there is no command to run")
	}
	p := &c.spec.Process
	// Its path is found in the container, by entrance.start.
	cmd := exec.CommandContext(ctx, args[0])
	cmd.Err, cmd.Args, cmd.Env, cmd.Dir = nil, args, p.Env, p.Dir
	if terminal {
		cmd.Env = append([]string{"TERM=xterm"}, p.Env...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: terminal} // descriptor 0 is the terminal
	if p.Identity.Switch {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: p.Identity.UID, Gid: p.Identity.GID, Groups: p.Identity.Groups}
	}
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			return err // it has ended
		}
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // and its process group
	}
	cmd.WaitDelay = execKillTimeout
	return cmd, nil
}

// runCommand returns the command's exit code, or an error if it was not started, or was
// killed since ctx has ended. In any case it calls started once the child has its
// streams.
func (s *Server) runCommand(ctx context.Context, c *container, cmd *exec.Cmd, started func()) (int32, error) {
	inside, err := s.enter(c)
	if err == nil {
		err = inside.start(cmd, &c.spec.Process)
		inside.close()
	}
	started()
	if err != nil {
		return 0, err
	}
	code := reap(cmd)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return code, nil
}

// ExecSync runs a command to its end, as the kubelet's exec probes do.
func (s runtimeService) ExecSync(ctx context.Context, req *runtime.ExecSyncRequest) (*runtime.ExecSyncResponse, error) {
	c, err := s.get(req.ContainerId)
	if err != nil {
		return nil, err
	}
	timeout := seconds(req.Timeout)
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	cmd, err := s.command(ctx, c, req.Cmd, false)
	if err != nil {
		return nil, err
	}
	var out, errs cappedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	code, err := s.runCommand(ctx, c, cmd, func() {})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, status.Errorf(codes.DeadlineExceeded, "the command %q was killed: it took longer than %v", strings.Join(req.Cmd, " "), timeout)
	case errors.Is(err, context.Canceled):
		return nil, status.FromContextError(err).Err()
	case err != nil:
		return nil, err
	}
	return &runtime.ExecSyncResponse{Stdout: out.b, Stderr: errs.b, ExitCode: code}, nil
}

// cappedBuffer keeps the first execOutputLimit bytes and drops the rest.
type cappedBuffer struct{ b []byte }

func (b *cappedBuffer) Write(p []byte) (int, error) {
	b.b = append(b.b, p[:min(len(p), execOutputLimit-len(b.b))]...)
	return len(p), nil
}
