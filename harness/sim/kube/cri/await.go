package cri

import (
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// await waits for the end of a container's process, and records it. The container does
// not count as exited before its log is complete and closed, since the kubelet then
// stops reading the log.
func (s *Server) await(c *container, streams *stdio) {
	waitUnreaped(c.process.Process.Pid)
	finished := time.Now()
	// The process id still belongs to this process, but is not used any more.
	s.mu.Lock()
	cmd := c.process
	c.process, c.enterable = nil, false
	s.mu.Unlock()
	code := reap(cmd)
	streams.drain()
	c.log.close()
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	s.mu.Lock()
	c.exit(finished, code, reason, "")
	s.mu.Unlock()
	s.log.line("container %s has exited, code %d", c.name(), code)
}

// exit records the end of a container. Server.mu must be held.
func (c *container) exit(at time.Time, code int32, reason, message string) {
	c.state, c.starting = runtime.ContainerState_CONTAINER_EXITED, false
	c.finishedAt, c.exitCode, c.reason, c.message = at, code, reason, message
	close(c.done)
}

// waitUnreaped waits until the child has ended, and leaves it a zombie. If it can't,
// the next Wait returns the error.
func waitUnreaped(pid int) {
	for {
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != unix.EINTR {
			return
		}
	}
}

// reap returns the exit code, as a shell does.
func reap(cmd *exec.Cmd) int32 {
	_ = cmd.Wait() // any code but 0 is an error
	if cmd.ProcessState == nil {
		return 255 // it was reaped elsewhere; containerd's code for this
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int32(ws.Signal())
	}
	return int32(cmd.ProcessState.ExitCode())
}
