package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/reap"
)

// socketWait bounds the time until a component's socket accepts connections. etcd needs
// 0.1 s on an idle host.
const socketWait = 60 * time.Second

// self is this binary, even if a mount hides its path, or it has been deleted.
const self = "/proc/self/exe"

// children are all components of this process.
var children reap.Children

// A component is a running process.
type component struct {
	name string
	cmd  *exec.Cmd
	err  error         // of Wait; read it only after done is closed
	done chan struct{} // closed when the process has ended
}

// startComponent starts this same binary in another role, in its own process group. If
// launch is not nil, it is called instead of (*exec.Cmd).Start. When the component
// ends, it is sent on exits.
func startComponent(req request, lifeline *os.File, exits chan<- *component, launch func(*exec.Cmd) error) (*component, error) {
	if role(req.Role) == nil {
		return nil, fmt.Errorf("no component %q in this binary", req.Role)
	}
	log, err := os.OpenFile(req.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", req.Name, err)
	}
	defer log.Close() // the child has its own descriptor
	c := &component{name: req.Name, done: make(chan struct{})}
	c.cmd = &exec.Cmd{
		Path:   self,
		Args:   append([]string{req.Role}, req.Args...),
		Env:    append(os.Environ(), lifelineEnv+"=3"),
		Stdout: log, Stderr: log,
		ExtraFiles:  []*os.File{lifeline}, // becomes descriptor 3
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if launch == nil {
		launch = (*exec.Cmd).Start
	}
	if err := children.Start(c.cmd, launch); err != nil {
		return nil, fmt.Errorf("start %s: %w", req.Name, err)
	}
	// If the supervisor no longer receives, the goroutine ends with this process.
	go func() {
		c.err = children.Wait(c.cmd)
		close(c.done)
		exits <- c
	}()
	return c, nil
}

func (c *component) pid() int { return c.cmd.Process.Pid }

// kill kills the process and what it has started, and waits for its end. Nothing need
// be flushed: state is thrown away, and etcd never syncs it.
func (c *component) kill() {
	select {
	case <-c.done: // its number may belong to another process by now
		return
	default:
	}
	_ = syscall.Kill(-c.pid(), syscall.SIGKILL) // ESRCH: it has just ended
	<-c.done
}

// status says how a process has ended.
func (c *component) status() string {
	if c.err != nil {
		return c.err.Error()
	}
	return "exit status 0"
}

// waitForSocket waits until the unix socket accepts a connection. If path is empty, it
// returns at once.
func (c *component) waitForSocket(path string) error {
	if path == "" {
		return nil
	}
	for deadline := time.Now().Add(socketWait); time.Now().Before(deadline); {
		conn, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-c.done:
			return errors.New(c.name + " ended before it listened: " + c.status())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("%s does not listen after %s", c.name, socketWait)
}
