package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/network"
	"kubernaut.io/dynamic-toolset/harness/sim/kube/userns"
)

// fabricRole is the role of process 1 of a cluster's namespaces.
const fabricRole = "fabric"

// In the namespaces, /tmp is the cluster's own, in memory: what the nodes write there
// (mounts, sockets, files of any user) is gone with the last process. Its paths are
// short enough for unix sockets.
const (
	clusterDir = "/tmp/cluster"
	stateDir   = clusterDir + "/state" // the state directory, as all processes see it
	logDir     = stateDir + "/logs"
)

// fabric sets up the namespaces in which it is started, with the state directory as
// working directory, and then serves requests like supervise. When it ends, the kernel
// ends every process in the namespaces.
func fabric() int {
	flags := pflag.NewFlagSet(fabricRole, pflag.ContinueOnError)
	nodes := flags.Int("nodes", 2, "number of nodes")
	logs := flags.String("logs", "", "directory for the logs, instead of one in the state directory")
	machines := flags.String("machine-network", "", "addresses of the machines")
	pods := flags.String("pod-network", "", "addresses of the pods")
	services := flags.String("service-network", "", "addresses of the Services")
	if err := flags.Parse(os.Args[1:]); err != nil {
		refuse(err)
		return 2
	}
	unix.Umask(0o022) // as on a server, since the kubelet makes files that users must read
	// For nft and mount, which may not be in the PATH of ordinary users.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin"); err != nil {
		refuse(err)
		return 1
	}
	config := network.Config{Nodes: *nodes}
	for text, prefix := range map[string]*netip.Prefix{*machines: &config.Machines, *pods: &config.Pods, *services: &config.Services} {
		var err error
		if *prefix, err = netip.ParsePrefix(text); err != nil {
			refuse(err)
			return 2
		}
	}
	greeting, n, err := setUp(config, *logs)
	if err != nil {
		refuse(err)
		return 1
	}
	go children.Orphans(nil) // until this process ends
	if err := relayDials(dialSocket); err != nil {
		refuse(err)
		return 1
	}
	if err := newSupervisor(n).serve(greeting); err != nil {
		fmt.Fprintln(os.Stderr, "kube fabric:", err)
		return 1
	}
	return 0
}

// setUp sets up the file system and the network of the cluster.
func setUp(config network.Config, logs string) (message, *network.Network, error) {
	greeting := message{OneUser: userns.OneUser()}
	var err error
	if greeting.Dir, err = os.Getwd(); err != nil {
		return greeting, nil, err
	}
	if err := mountAll(logs); err != nil {
		return greeting, nil, err
	}
	n, err := network.New(config)
	if err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return greeting, nil, userns.Forbidden("set up the network", err)
		}
		return greeting, nil, &userns.Unsupported{
			What: "set up the network", Err: err, Help: "The kernel must have bridges and veth pairs: modprobe -a bridge veth, as root",
		}
	}
	if err := probeNFT(); err != nil {
		return greeting, nil, err
	}
	greeting.Outside = n.Outside.String()
	for _, node := range n.Nodes {
		info := nodeInfo{
			Name: node.Name, Address: node.Address.String(), Pods: node.Pods.String(), Root: filepath.Join(clusterDir, node.Name), State: stateDir,
		}
		if err := os.Mkdir(info.Root, 0o755); err != nil {
			return greeting, nil, err
		}
		greeting.Nodes = append(greeting.Nodes, info)
	}
	return greeting, n, nil
}

// mountAll makes the mounts, and changes to stateDir.
func mountAll(logs string) error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return userns.Forbidden("keep mounts to ourselves", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return userns.Forbidden("mount /proc", err)
	}
	logsBelow := -1
	if logs != "" {
		// Opened before the mount on /tmp, which may hide it.
		var err error
		if logsBelow, err = unix.Open(logs, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
			return fmt.Errorf("open the directory for the logs, %s: %w", logs, err)
		}
		defer unix.Close(logsBelow)
	}
	if err := unix.Mount("tmpfs", "/tmp", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return userns.Forbidden("mount /tmp", err)
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return err
	}
	// The working directory is still the one below the new mount.
	if err := unix.Mount(".", stateDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount the state directory: %w", err)
	}
	if err := os.MkdirAll(logDir, 0o700); err != nil {
		return err
	}
	if logsBelow >= 0 {
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", logsBelow), logDir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount the directory for the logs: %w", err)
		}
	}
	if err := os.Setenv("TMPDIR", "/tmp"); err != nil {
		return err
	}
	return os.Chdir(stateDir)
}

// probeNFT returns an error if kube-proxy could not set its rules.
func probeNFT() error {
	out, err := exec.Command("nft", "add table ip probe; delete table ip probe").CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return &userns.Unsupported{What: "find nft, with which kube-proxy sets its rules", Err: err, Help: "Install the package nftables"}
	}
	if err != nil {
		return &userns.Unsupported{
			What: "set a packet filter rule with nft", Err: fmt.Errorf("%w: %s", err, strings.TrimSpace(string(out))),
			Help: "The kernel must have nf_tables: modprobe nf_tables, as root",
		}
	}
	return nil
}
