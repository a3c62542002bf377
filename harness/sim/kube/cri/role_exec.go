package cri

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	goruntime "runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ExecRole enters the namespaces of a container, runs a command there as its
// child, and returns the command's exit code. SIGTERM kills the command.
//
// The command must be a child: a process cannot change its own PID namespace,
// only that of its children.
func ExecRole() int {
	goruntime.LockOSThread()
	kill := make(chan os.Signal, 1)
	signal.Notify(kill, syscall.SIGTERM)
	code := 0
	failed := runRole(func(instruction, report *os.File) error {
		var spec execSpec
		if err := decode(instruction, &spec); err != nil {
			return fmt.Errorf("read the instruction: %w", err)
		}
		_ = instruction.Close()
		if err := enterContainer(); err != nil {
			return err
		}
		child, err := startCommand(&spec)
		if err != nil {
			return err
		}
		if _, err := report.WriteString(reportReady); err != nil {
			return errors.Join(err, syscall.Kill(-child.Pid, syscall.SIGKILL))
		}
		_ = report.Close()
		// Ends with the process.
		go func() {
			<-kill
			_ = syscall.Kill(-child.Pid, syscall.SIGKILL) // the group that it leads
		}()
		code, err = exitCode(child)
		return err
	})
	if failed != 0 {
		return failed
	}
	return code
}

// enterContainer moves this thread, and the children that it makes, into the
// namespaces of the inherited descriptors.
func enterContainer() error {
	// A thread that shares its root and working directory with others may not
	// change its mount namespace.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leave the other threads' file system view: %w", err)
	}
	for i, ns := range containerNamespaces {
		fd := firstNamespace + i
		if err := unix.Setns(fd, ns.kind); err != nil {
			return fmt.Errorf("enter the container's %s namespace: %w", ns.name, err)
		}
		_ = unix.Close(fd)
	}
	return nil
}

// startCommand starts the command with the container's rights.
func startCommand(spec *execSpec) (*os.Process, error) {
	p := &spec.Process
	if err := os.Chdir(p.Dir); err != nil {
		return nil, fmt.Errorf("enter the working directory: %w", err)
	}
	if err := takeRights(p.Rights); err != nil {
		return nil, err
	}
	if err := ownStreams(p.Identity); err != nil {
		return nil, err
	}
	program, err := lookPath(p.Args[0], p.Env)
	if err != nil {
		return nil, err
	}
	attr := &syscall.SysProcAttr{Setsid: true, Setctty: spec.Terminal}
	if p.Identity.Switch {
		attr.Credential = &syscall.Credential{Uid: p.Identity.UID, Gid: p.Identity.GID, Groups: p.Identity.Groups}
	}
	unix.Umask(0o022)
	defaultSignals()
	child, err := os.StartProcess(program, p.Args, &os.ProcAttr{
		Env: p.Env, Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: attr,
	})
	if err != nil {
		return nil, fmt.Errorf("execute %q: %w", program, errors.Unwrap(err))
	}
	return child, nil
}

// exitCode waits for the command; by a signal, it is the number that a shell
// shows.
func exitCode(child *os.Process) (int, error) {
	state, err := child.Wait()
	if err != nil {
		return 0, err
	}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), nil
	}
	return state.ExitCode(), nil
}
