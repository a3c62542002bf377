// Command kube holds the components of a Kubernetes control plane in one static
// binary, and a supervisor that owns them for one simulated cluster.
//
// The role is the name under which the binary is called (a link named
// "kube-apiserver") or the first argument ("kube kube-apiserver ..."); what
// follows are the flags of the real component, which is not changed in any way.
//
// It is a module of its own so that k8s.io/kubernetes, which is not made to be
// imported and needs a replace line for every staging module, never reaches the
// go.mod of the service. Package sim builds and drives it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// components are the roles that run a component, for the message to whoever calls
// the binary wrongly. A new one is added here, in role and in go.mod.
const components = "etcd, kube-apiserver"

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
	case "supervise":
		return supervise
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
