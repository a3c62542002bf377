// Command kube has the components of Kubernetes in one static binary, and what turns them
// into a simulated cluster: a supervisor, the namespaces in which the components run, and
// the nodes.
//
// The role is the name by which the binary is called (a link named "kube-apiserver") or
// the first argument ("kube kube-apiserver ..."). The flags are those of the real
// component, which is unchanged. Only the kubelet has its own flags, as parts of it are
// replaced (see package kubelet).
//
// This is a module of its own. k8s.io/kubernetes is not made to be imported, and needs a
// replace line for every staging module, which must not be in the go.mod of the service.
// Package sim builds this binary and drives it.
//
// # A control plane alone
//
//	supervise            makes the state directory, starts and stops, cleans up
//	├ etcd
//	└ kube-apiserver
//
// # A cluster
//
//	enclose              makes the state directory and the namespaces, cleans up
//	└ fabric             process 1 in them: sets up the network, starts and stops
//	  ├ etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//	  └ per node, in its own network and mount namespace:
//	    ├ node           the container runtime, and under it the containers
//	    ├ kubelet
//	    └ kube-proxy
//
// Package sim uses the same protocol with supervise and fabric (protocol.go).
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"

	"kubernaut.io/dynamic-toolset/harness/sim/kube/cri"
	"kubernaut.io/dynamic-toolset/harness/sim/kube/kubelet"
)

// components are the roles that run a component, for the error message. A new one is
// also added to role and to go.mod.
const components = "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl"

// role returns the function that runs the role, or nil if there is none of this name.
// Like the components' own main functions, it takes its arguments from os.Args. It
// returns the exit code.
func role(name string) func() int {
	switch name {
	case "etcd":
		return func() int {
			etcdmain.Main(os.Args) // ends the process itself on every error
			return 0
		}
	case "kube-apiserver":
		return func() int { return cli.Run(apiserver.NewAPIServerCommand()) }
	case "kube-controller-manager":
		return func() int { return cli.Run(controllermanager.NewControllerManagerCommand()) }
	case "kube-scheduler":
		return func() int { return cli.Run(scheduler.NewSchedulerCommand()) }
	case "kube-proxy":
		return func() int { return cli.Run(proxy.NewProxyCommand()) }
	case "kubectl":
		return func() int { return cli.Run(kubectl.NewDefaultKubectlCommand()) }
	case kubelet.Name:
		return func() int { return kubelet.Main(os.Args[1:]) }
	case nodeRole:
		return node
	case cri.InitRoleName:
		return cri.InitRole
	case "supervise":
		return supervise
	case "enclose":
		return enclose
	case mappedRole:
		return mapped
	case fabricRole:
		return fabric
	}
	return nil
}

func main() {
	run := chooseRole()
	if run == nil {
		fmt.Fprintf(os.Stderr, "kube: call it by the name, or with the first argument, of a component: %s\n", components)
		os.Exit(2)
	}
	if err := followLifeline(); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(2)
	}
	os.Exit(run())
}

// chooseRole returns the function of the role, and sets os.Args as if the binary were
// that role's own. It returns nil if no role is named.
func chooseRole() func() int {
	if run := role(filepath.Base(os.Args[0])); run != nil {
		return run
	}
	if len(os.Args) > 1 {
		if run := role(os.Args[1]); run != nil {
			os.Args = os.Args[1:]
			return run
		}
	}
	return nil
}
