package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/userns"
)

// mappedRole is the role of the first process in a user namespace whose ids newuidmap
// maps.
const mappedRole = "mapped"

// startMapped starts the command as process 1 of new namespaces. In its user namespace
// the ids are the user's own, as 0, and its subordinate ids.
//
// Only the set-user-id programs newuidmap and newgidmap may map these, and only from
// outside, into a namespace that exists. A process that was executed before it had a
// mapping has no capabilities. So a process in the role mapped waits in the new
// namespace for its mapping, executes itself again, which makes it root there, and
// starts the command.
func startMapped(cmd *exec.Cmd) (*exec.Cmd, error) {
	uids, gids, err := userns.Subordinates()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	cmd.Args = append([]string{mappedRole}, cmd.Args...)
	cmd.ExtraFiles = append(cmd.ExtraFiles, r) // descriptor 4
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	pid := strconv.Itoa(cmd.Process.Pid)
	for _, m := range []struct {
		program string
		own     int
		ids     userns.Range
	}{{"newuidmap", os.Getuid(), uids}, {"newgidmap", os.Getgid(), gids}} {
		out, err := exec.Command(m.program, pid, "0", strconv.Itoa(m.own), "1", "1", strconv.Itoa(m.ids.First), strconv.Itoa(m.ids.Count)).CombinedOutput()
		if err != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			return nil, fmt.Errorf("%w: %s: %w: %s", userns.ErrNoSubordinates, m.program, err, strings.TrimSpace(string(out)))
		}
	}
	if _, err := w.Write([]byte{1}); err != nil {
		_ = cmd.Process.Kill()
		return nil, errors.Join(err, cmd.Wait())
	}
	return cmd, nil
}

// mappedEnv marks the second execution of the role mapped.
const mappedEnv = "KUBE_IDS_ARE_MAPPED"

// mapped runs the role. Its arguments are the name and the arguments of the role to
// start.
func mapped() int {
	if os.Getenv(mappedEnv) == "" {
		ready := os.NewFile(4, "mapping")
		if n, err := ready.Read(make([]byte, 1)); n != 1 {
			fmt.Fprintln(os.Stderr, "kube mapped: the ids were not mapped:", err)
			return 1
		}
		_ = ready.Close()
		// The lifeline is passed on to the next program, which closes it on exec.
		if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, 3, syscall.F_SETFD, 0); errno != 0 {
			fmt.Fprintln(os.Stderr, "kube mapped: pass the lifeline on:", errno)
			return 1
		}
		err := syscall.Exec(self, os.Args, append(os.Environ(), mappedEnv+"=1", lifelineEnv+"=3"))
		fmt.Fprintln(os.Stderr, "kube mapped:", err)
		return 1
	}
	os.Unsetenv(mappedEnv)
	cmd := &exec.Cmd{
		Path: self, Args: os.Args[1:], Env: append(os.Environ(), lifelineEnv+"=3"),
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		ExtraFiles:  []*os.File{os.NewFile(3, "lifeline")},
		SysProcAttr: &syscall.SysProcAttr{Cloneflags: namespaces},
	}
	if err := cmd.Start(); err != nil {
		refuse(userns.Forbidden("make the namespaces of the cluster", err))
		return 1
	}
	// Only the fabric decides when the cluster ends. If this process is killed, enclose
	// still has the lifeline, and ends.
	if err := cmd.Wait(); err != nil {
		return 1
	}
	return 0
}
