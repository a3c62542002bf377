package cri

import (
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A command in a container is a child of this process, started from a thread that has
// entered the container. It is not started by a helper process: if that were killed,
// the command would be an orphan that another process must reap, and until then the
// kernel does not let the container's process 1 end.

// An entrance has the namespaces of a running container, in the order in which they are
// entered. The mount namespace is the last, since it changes all paths.
type entrance struct{ files [len(entranceKinds)]*os.File }

var entranceKinds = [...]struct {
	name string
	kind int
}{
	{"net", unix.CLONE_NEWNET}, {"ipc", unix.CLONE_NEWIPC}, {"uts", unix.CLONE_NEWUTS},
	{"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS},
}

// enter opens the namespaces of a running container. While enterable is set and mu
// held, its process has not been reaped, so that the process id is valid.
func (s *Server) enter(c *container) (*entrance, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.enterable {
		return nil, status.Errorf(codes.FailedPrecondition, "the container %q does not run", c.id)
	}
	e := &entrance{}
	for i, ns := range entranceKinds {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", c.process.Process.Pid, ns.name))
		if err != nil {
			e.close()
			return nil, status.Errorf(codes.FailedPrecondition, "the container %q has just ended: %v", c.id, err)
		}
		e.files[i] = f
	}
	return e, nil
}

func (e *entrance) close() {
	for _, f := range e.files {
		if f != nil {
			_ = f.Close() // only read
		}
	}
}

// start starts the command in the container, with the container's rights.
func (e *entrance) start(cmd *exec.Cmd, p *process) error {
	return onThread(func() error {
		// A thread that shares its root and working directory with others may not
		// change its mount namespace.
		if err := unix.Unshare(unix.CLONE_FS); err != nil {
			return fmt.Errorf("leave the other threads' view of the files: %w", err)
		}
		for i, ns := range entranceKinds {
			if err := setns(e.files[i], ns.kind); err != nil {
				return fmt.Errorf("enter the container's %s namespace: %w", ns.name, err)
			}
		}
		unix.Umask(0o022)
		if err := takeRights(p.Rights); err != nil {
			return err
		}
		program, err := lookPath(cmd.Args[0], p.Env)
		if err != nil {
			return err
		}
		cmd.Path = program
		// The pipes that Start makes must belong to the user, who may open them again
		// (/dev/stdout).
		if p.Identity.Switch {
			if err := unix.Setfsuid(int(p.Identity.UID)); err != nil {
				return fmt.Errorf("become user %d for files: %w", p.Identity.UID, err)
			}
		}
		return cmd.Start()
	})
}
