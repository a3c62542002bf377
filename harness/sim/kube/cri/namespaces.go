package cri

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// namespaces are those that the containers of a pod share. They exist while these
// descriptors are open, or a process is in them.
type namespaces struct {
	net *os.File // nil: the node's (hostNetwork)
	ipc *os.File
	uts *os.File // has the host name
}

// newNamespaces makes the namespaces of a pod. As in containerd, every user may listen
// on low ports in a new network namespace, so that web servers need not run as root.
// sysctls are those in the pod's spec.
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
			// If /proc/sys can't be written, low ports are for root, as by default.
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

// setSysctl sets a sysctl by its dotted name, from which no ".." can result. Those of
// the network and of IPC belong to the namespaces of the calling thread.
func setSysctl(name, value string) error {
	return os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0o644)
}

// inside calls f on a thread that is in the namespaces. So are processes that f starts
// and sockets that it opens.
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

// setns enters a namespace. If another goroutine closes the file, it returns an error
// instead of using a descriptor that now is another file.
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
			_ = f.Close() // only links to namespaces
		}
	}
}

// onThread calls f on a thread that is not used again: namespaces belong to threads,
// and one that has changed its own must not run other goroutines.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- f()
	}()
	return <-done
}
