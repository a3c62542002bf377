package cri

import (
	"fmt"
	"io"
	"os"
	goruntime "runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// InitRoleName is the name, as argv[0], of the role InitRole.
const InitRoleName = "container-init"

// InitRole runs as process 1 of a container: it builds the container's root, changes to
// the pod's user, and executes the pod's program. It returns only if that fails, with
// an exit code. It writes the reason to the report pipe.
func InitRole() int {
	// Namespaces, capabilities and no_new_privs belong to the thread.
	goruntime.LockOSThread()
	syscall.CloseOnExec(instructionFD)
	syscall.CloseOnExec(reportFD)
	report := os.NewFile(reportFD, "report")
	err := becomeContainer(os.NewFile(instructionFD, "instruction"), report)
	_, _ = report.WriteString(err.Error()) // there may be no reader any more
	return startFailed
}

// becomeContainer returns only with an error.
func becomeContainer(instruction io.Reader, report *os.File) error {
	var spec initSpec
	if err := decode(instruction, &spec); err != nil {
		return fmt.Errorf("read the instruction: %w", err)
	}
	if err := buildRoot(&spec); err != nil {
		return err
	}
	return executeAs(&spec.Process, report)
}

// executeAs executes the program. It returns only with an error.
func executeAs(p *process, report *os.File) error {
	if err := takeRights(p.Rights); err != nil {
		return err
	}
	if err := ownStreams(p.Identity); err != nil {
		return err
	}
	if err := become(p.Identity); err != nil {
		return err
	}
	if err := os.Chdir(p.Dir); err != nil {
		return fmt.Errorf("enter the working directory: %w", err)
	}
	program, err := lookPath(p.Args[0], p.Env)
	if err != nil {
		return err
	}
	unix.Umask(0o022)
	if _, err := report.WriteString(reportReady); err != nil {
		return err
	}
	return fmt.Errorf("execute %q: %w", program, syscall.Exec(program, p.Args, p.Env))
}

// ownStreams lets the process open its streams again (/dev/stdout): they are pipes made
// by root.
func ownStreams(who identity) error {
	if !who.Switch || who.UID == 0 {
		return nil
	}
	for fd := 1; fd <= 2; fd++ {
		if err := unix.Fchown(fd, int(who.UID), -1); err != nil {
			return fmt.Errorf("give the output to user %d: %w", who.UID, err)
		}
	}
	return nil
}

// become changes user and groups. Unless the user is root, this also gives up the
// capabilities.
func become(who identity) error {
	if !who.Switch {
		return nil
	}
	groups := make([]int, len(who.Groups))
	for i, g := range who.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("set the groups %v: %w", groups, err)
	}
	if err := syscall.Setresgid(int(who.GID), int(who.GID), int(who.GID)); err != nil {
		return fmt.Errorf("become group %d: %w", who.GID, err)
	}
	if err := syscall.Setresuid(int(who.UID), int(who.UID), int(who.UID)); err != nil {
		return fmt.Errorf("become user %d: %w", who.UID, err)
	}
	return nil
}

// takeRights limits the rights of this thread, and of whatever it executes. It keeps
// its present capabilities until it executes something.
func takeRights(r rights) error {
	if !r.AllCapabilities {
		keep := map[uintptr]bool{}
		for _, c := range r.Capabilities {
			keep[c] = true
		}
		for c := uintptr(0); ; c++ {
			if _, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); err != nil {
				break // the kernel has no more
			}
			if keep[c] {
				continue
			}
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				return fmt.Errorf("give up capability %d: %w", c, err)
			}
		}
	}
	if r.NoNewPrivileges {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("forbid new privileges: %w", err)
		}
	}
	return nil
}
