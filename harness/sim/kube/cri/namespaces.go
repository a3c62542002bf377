package cri

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaces are those that the containers of one pod share: they exist as long
// as these descriptors are open or a process is in them.
type namespaces struct {
	net *os.File // nil: the node's (hostNetwork)
	ipc *os.File
	uts *os.File // holds the host name
}

// newNamespaces makes the namespaces of a pod. In a network namespace of its own
// everybody may listen on low ports, as containerd sets it up too, so that a
// program that is not root can be a web server; sysctls are the pod's own.
func newNamespaces(hostNetwork bool, hostname string, sysctls map[string]string) (*namespaces, error) {
	n := &namespaces{}
	err := onThread(func() error {
		flags := unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
		if !hostNetwork {
			flags |= unix.CLONE_NEWNET
		}
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("make the pod's namespaces: %w", err)
		}
		if hostname != "" {
			if err := unix.Sethostname([]byte(hostname)); err != nil {
				return fmt.Errorf("set the pod's host name %q: %w", hostname, err)
			}
		}
		if !hostNetwork {
			// Where /proc/sys may not be written, low ports are for root, as they
			// are by default.
			_ = setSysctl("net.ipv4.ip_unprivileged_port_start", "0")
		}
		for name, value := range sysctls {
			if err := setSysctl(name, value); err != nil {
				return fmt.Errorf("set the pod's sysctl %s: %w", name, err)
			}
		}
		var err error
		if !hostNetwork {
			if n.net, err = os.Open("/proc/thread-self/ns/net"); err != nil {
				return err
			}
		}
		if n.ipc, err = os.Open("/proc/thread-self/ns/ipc"); err != nil {
			return err
		}
		n.uts, err = os.Open("/proc/thread-self/ns/uts")
		return err
	})
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// setSysctl writes one by its dotted name, in which no ".." can survive. Those of
// the network and of IPC belong to the namespaces of the calling thread.
func setSysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644)
}

// inside runs f on a thread that is in the namespaces; processes started by f are
// in them, sockets opened by f too.
func (n *namespaces) inside(f func() error) error {
	return onThread(func() error {
		for _, ns := range []struct {
			file *os.File
			kind int
		}{{n.ipc, unix.CLONE_NEWIPC}, {n.uts, unix.CLONE_NEWUTS}, {n.net, unix.CLONE_NEWNET}} {
			if ns.file == nil {
				continue
			}
			if err := setns(ns.file, ns.kind); err != nil {
				return fmt.Errorf("enter the pod's namespaces: %w", err)
			}
		}
		return f()
	})
}

// setns enters a namespace. A file that another goroutine closes meanwhile is an
// error, and never somebody else's namespace under the same number.
func setns(file *os.File, kind int) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	if e := raw.Control(func(fd uintptr) { err = unix.Setns(int(fd), kind) }); e != nil {
		return e
	}
	return err
}

func (n *namespaces) close() {
	for _, f := range []*os.File{n.net, n.ipc, n.uts} {
		if f != nil {
			_ = f.Close() // only read links to namespaces: nothing to lose
		}
	}
}

// onThread runs f on a thread of its own that ends with it: namespaces belong to
// threads, and one that has changed its own must not serve other goroutines.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
