// Command kube holds the components of Kubernetes in one static binary, with what
// makes a simulated cluster of them: a supervisor that owns them, the fabric of
// namespaces that they run in, and the nodes.
//
// The role is the name under which the binary is called (a link named
// "kube-apiserver") or the first argument ("kube kube-apiserver ..."); what
// follows are the flags of the real component, which is not changed in any way.
// Kubelet alone has flags of our own, as parts of it are replaced (see package
// kubelet).
//
// It is a module of its own so that k8s.io/kubernetes, which is not made to be
// imported and needs a replace line for every staging module, never reaches the
// go.mod of the service. Package sim builds and drives it.
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
//	└ fabric             process 1 in them; the network; starts and stops
//	  ├ etcd, kube-apiserver, kube-controller-manager, kube-scheduler
//	  └ per node, in a network and mount namespace of its own:
//	    ├ node           the container runtime, and under it the containers
//	    ├ kubelet
//	    └ kube-proxy
//
// Supervise and fabric speak the same protocol with package sim (protocol.go).
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

// components are the roles that run a component, for the message to whoever calls
// the binary wrongly. A new one is added here, in role and in go.mod.
const components = "etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl"

// role returns what the role of that name runs, nil where there is none. What it
// returns finds its arguments in os.Args, as the components' own main functions
// do, and returns the exit code.
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

// chooseRole picks the role and makes os.Args what a binary of that name alone
// would have seen. It returns nil where no role is named.
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
