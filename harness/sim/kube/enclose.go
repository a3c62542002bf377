package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/userns"
)

// namespaces are the namespaces of a cluster, besides the user namespace.
const namespaces = syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS

// enclose runs a simulated cluster with nodes. It makes the state directory and starts
// the role fabric in new namespaces, with its own standard input and output. When that
// has ended, in whatever way, it removes the directory. The fabric is process 1 of its
// namespaces, so the kernel ends all processes of the cluster with it.
//
// The arguments are those of fabric.
func enclose() int {
	dir, err := makeStateDir()
	if err != nil {
		refuse(err)
		return 1
	}
	code := 0
	if err := runFabric(dir); err != nil {
		refuse(err)
		code = 1
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, "kube enclose: remove the state directory by hand:", err)
		code = 1
	}
	return code
}

// runFabric returns when the fabric has ended.
func runFabric(dir string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	cmd, err := startEnclosed(func() *exec.Cmd {
		return &exec.Cmd{
			Path: self, Args: append([]string{fabricRole}, os.Args[1:]...), Dir: dir,
			Env:   append(os.Environ(), lifelineEnv+"=3"),
			Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{r},
		}
	})
	_ = r.Close()
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-signals:
		_ = w.Close() // closes the lifeline
		<-ended
		return nil
	case err := <-ended:
		// It has reported its own failures itself.
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil
		}
		return err
	}
}

// startEnclosed starts the command in new namespaces, with as many user ids as this
// user may have: 65,536 as root, those in /etc/subuid if newuidmap is installed, or
// else one. Root does without a user namespace if it may make none. newCommand makes a
// new command for every attempt.
func startEnclosed(newCommand func() *exec.Cmd) (*exec.Cmd, error) {
	attr := func(flags uintptr, ids int) *syscall.SysProcAttr {
		a := &syscall.SysProcAttr{Cloneflags: flags, Setpgid: true}
		if flags&syscall.CLONE_NEWUSER != 0 {
			a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: ids}}
			a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: ids}}
			a.GidMappingsEnableSetgroups = ids > 1
		}
		return a
	}
	attempts := []func() (*exec.Cmd, error){}
	direct := func(flags uintptr, ids int) func() (*exec.Cmd, error) {
		return func() (*exec.Cmd, error) {
			cmd := newCommand()
			cmd.SysProcAttr = attr(flags, ids)
			return cmd, cmd.Start()
		}
	}
	if os.Getuid() == 0 {
		attempts = append(attempts, direct(namespaces|syscall.CLONE_NEWUSER, userns.AllIDs), direct(namespaces, 0))
	} else {
		attempts = append(attempts, func() (*exec.Cmd, error) { return startMapped(newCommand()) })
	}
	attempts = append(attempts, direct(namespaces|syscall.CLONE_NEWUSER, 1))
	var first error
	for _, attempt := range attempts {
		cmd, err := attempt()
		if err == nil {
			return cmd, nil
		}
		if first == nil || errors.Is(first, userns.ErrNoSubordinates) {
			first = err
		}
	}
	return nil, userns.Forbidden("make the namespaces of the cluster", first)
}

// refuse writes a message instead of the greeting that says why there is no cluster.
func refuse(err error) {
	writeRefusal(os.Stdout, err)
}

func writeRefusal(w io.Writer, err error) {
	var u *userns.Unsupported
	// The owner may be gone.
	_ = json.NewEncoder(w).Encode(message{Error: err.Error(), Unsupported: errors.As(err, &u)})
}
