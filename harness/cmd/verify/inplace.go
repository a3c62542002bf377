package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// inPlaceFlags are for a workload that is verified where it is.
type inPlaceFlags struct {
	targetNamespace string
	printRBAC       bool
}

func (f *inPlaceFlags) add(s *pflag.FlagSet, o *verify.Options) {
	s.StringVarP(&f.targetNamespace, "target-namespace", "n", "", "`NAME` of the namespace of deployment/NAME (default \"default\")")
	s.IntVar(&o.MaxLost, "max-lost", 0, "end the load when more than `NUMBER` requests are lost; 0: never")
	s.BoolVar(&f.printRBAC, "print-rbac", false, "print the rights that deployment/NAME needs, as manifests, and exit")
}

// takeArguments reads what is no flag: the workload to verify where it is.
func (f *flags) takeArguments() error {
	switch args := f.set.Args(); {
	case len(args) > 1:
		return fmt.Errorf("%q and %q are no flags; one workload can be verified at a time", args[0], args[1])
	case len(args) == 0 && f.targetNamespace != "":
		return errors.New("-n is the namespace of a workload: name it, such as deployment/NAME; for --manifest, the namespace is in the manifests")
	case len(args) == 0 && f.printRBAC:
		return errors.New("--print-rbac is for a workload: name it, such as deployment/NAME")
	case len(args) == 1:
		namespace := f.targetNamespace
		if namespace == "" {
			namespace = "default"
		}
		var err error
		if f.o.InPlace, err = verify.ParseInPlace(args[0], namespace); err == nil && !f.set.Changed("cluster") {
			f.cluster.Name = driver.Kubeconfig
		}
		return err
	}
	return nil
}

// verifyInPlace sets what fits a workload that others use, unless the user says
// otherwise: one rollout, and little load.
func (f *flags) verifyInPlace() error {
	for _, flag := range []string{"manifest", "around", "image", "image-binary", "image-file", "replicas", "nodes"} {
		if f.set.Changed(flag) {
			return fmt.Errorf("--%s means nothing for the %s, which is verified where it is", flag, f.o.InPlace)
		}
	}
	if f.set.Changed("cluster") && f.cluster.Name != driver.Kubeconfig {
		return fmt.Errorf("the %s is in an existing cluster: leave --cluster out", f.o.InPlace)
	}
	if !f.set.Changed("restarts") {
		f.restarts = 1
	}
	if !f.set.Changed("rate") {
		f.o.Traffic.Rate = 100
	}
	return nil
}

// rbacName is the name of the roles.
const rbacName = "verify-rollout"

// writeRBAC prints what a user or a ServiceAccount needs. The namespace of the load
// generator is made for each run, so rights in it can't be given by a Role.
func (f *flags) writeRBAC(to io.Writer) error {
	p := f.o.InPlace
	everywhere, inNamespace := p.Rules()
	for _, o := range []map[string]any{
		{"kind": "ClusterRole", "metadata": map[string]any{"name": rbacName}, "rules": everywhere},
		{"kind": "Role", "metadata": map[string]any{"name": rbacName, "namespace": p.Namespace}, "rules": inNamespace},
	} {
		o["apiVersion"] = "rbac.authorization.k8s.io/v1"
		text, err := yaml.Marshal(o)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(to, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}
