package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/cri"
)

// nodeRole is the role of the first process of a node: the container runtime, under
// which the containers run. The kubelet and kube-proxy join its namespaces.
const nodeRole = "node"

// node runs a node until SIGTERM. Its network must be set up.
func node() int {
	flags := pflag.NewFlagSet(nodeRole, pflag.ContinueOnError)
	name := flags.String("name", "", "the node's name")
	address := flags.String("address", "", "the node's address")
	pods := flags.String("pod-network", "", "the network of its pods")
	root := flags.String("root", "", "its directory")
	images := flags.String("images", "", "where the images are")
	socket := flags.String("socket", "", "the runtime's socket")
	if err := flags.Parse(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 2
	}
	if err := runNode(*name, *address, *pods, *root, *images, *socket); err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		return 1
	}
	return 0
}

func runNode(name, address, pods, root, images, socket string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	network, err := netip.ParsePrefix(pods)
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set the hostname: %w", err)
	}
	server, err := cri.Start(cri.Config{
		Root: filepath.Join(root, "runtime"), Images: images, NodeIP: net.ParseIP(address), PodNetwork: network, Log: os.Stdout,
	}, socket)
	if err != nil {
		return err
	}
	<-signals
	return server.Stop()
}

// onNode returns the function that starts a component on the request's node. The role
// node is started in its own mount namespace, others in those of the running node.
func (s *supervisor) onNode(req request) (launch func(*exec.Cmd) error, err error) {
	n, err := s.network.Node(req.Node)
	if err != nil {
		return nil, err
	}
	if req.Role == nodeRole {
		return func(cmd *exec.Cmd) error {
			cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS
			return n.Do(cmd.Start)
		}, nil
	}
	first := s.running[req.Node]
	if first == nil {
		return nil, fmt.Errorf("%s does not run", req.Node)
	}
	return func(cmd *exec.Cmd) error {
		cmd.Dir = stateDir // a thread that enters a mount namespace loses its own
		return enter(first.pid(), cmd.Start)
	}, nil
}

// enter calls fn on a thread in the network, mount and host name namespaces of a
// process. The thread is not used again.
func enter(pid int, fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		result <- func() error {
			fd, err := unix.PidfdOpen(pid, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			// Threads share their working directory, and one that does so may not
			// change its mount namespace.
			if err := unix.Unshare(unix.CLONE_FS); err != nil {
				return err
			}
			if err := unix.Setns(fd, unix.CLONE_NEWNET|unix.CLONE_NEWNS|unix.CLONE_NEWUTS); err != nil {
				return fmt.Errorf("enter the namespaces of the node: %w", err)
			}
			return fn()
		}()
	}()
	return <-result
}
