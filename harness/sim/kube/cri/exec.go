package cri

import (
	"context"
	"errors"
	"fmt"
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
	// execOutputLimit is how much of each output of ExecSync is kept, in bytes;
	// the CRI asks for this cap and for the rest to be dropped.
	execOutputLimit = 16 << 20

	// execKillTimeout is how long the end of a command may take that is killed,
	// and how long output may come after it from what it has left behind.
	execKillTimeout = 2 * time.Second
)

// containerNamespaces are what a command enters, in this order; role_exec.go
// finds them from descriptor firstNamespace on. The mount namespace comes last:
// with it the files change.
var containerNamespaces = []struct {
	name string
	kind int
}{
	{"net", syscall.CLONE_NEWNET}, {"ipc", syscall.CLONE_NEWIPC}, {"uts", syscall.CLONE_NEWUTS},
	{"pid", syscall.CLONE_NEWPID}, {"mnt", syscall.CLONE_NEWNS},
}

const firstNamespace = 5

// command prepares a command in a running container: its process is of the role
// ExecRole; ctx ends it. The caller sets the streams and calls runCommand.
func (s *Server) command(ctx context.Context, c *container, args []string, terminal bool) (*exec.Cmd, *execSpec, error) {
	if len(args) == 0 {
		return nil, nil, status.Error(codes.InvalidArgument, "there is no command to run")
	}
	spec := &execSpec{Terminal: terminal, Process: c.spec.Process}
	spec.Process.Args = args
	if terminal {
		spec.Process.Env = append([]string{"TERM=xterm"}, spec.Process.Env...)
	}
	role := roleCommand(ExecRoleName)
	cmd := exec.CommandContext(ctx, role.Path)
	cmd.Args, cmd.Env = role.Args, role.Env
	// The role's process kills the command; it is in another PID namespace.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = execKillTimeout
	return cmd, spec, nil
}

// runCommand returns the command's exit code, or an error if it was not run.
func (s *Server) runCommand(ctx context.Context, c *container, cmd *exec.Cmd, spec *execSpec, started func()) (int32, error) {
	inside, err := s.namespacesOfContainer(c)
	if err != nil {
		return 0, err
	}
	report, err := startRole(cmd, spec, inside, func(f func() error) error { return f() })
	closeAll(inside)
	started()
	if err != nil {
		return 0, err
	}
	problem := report.wait(ctx)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case problem != nil:
		return 0, fmt.Errorf("run %q in the container: %w", strings.Join(spec.Process.Args, " "), problem)
	case err == nil || cmd.ProcessState.Exited():
		return int32(cmd.ProcessState.ExitCode()), nil
	}
	return 0, err
}

// namespacesOfContainer opens those of a running container. While enterable is
// set and mu held, its process has not been reaped, so its number is its own.
func (s *Server) namespacesOfContainer(c *container) (files []*os.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.enterable {
		return nil, status.Errorf(codes.FailedPrecondition, "the container %q does not run", c.id)
	}
	for _, ns := range containerNamespaces {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", c.process.Process.Pid, ns.name))
		if err != nil {
			closeAll(files)
			return nil, status.Errorf(codes.FailedPrecondition, "the container %q has just ended: %v", c.id, err)
		}
		files = append(files, f)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // only read
	}
}

// ExecSync runs a command to its end, as kubelet's exec probes do.
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
	cmd, spec, err := s.command(ctx, c, req.Cmd, false)
	if err != nil {
		return nil, err
	}
	var out, errs cappedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	code, err := s.runCommand(ctx, c, cmd, spec, func() {})
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
