// Package simulated drives the simulated cluster: a real Kubernetes as plain
// processes, without Docker, root, images or a network (see package sim).
package simulated

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/sim"
)

// Name is that of the driver.
const Name = "sim"

// Options say how the cluster should be.
type Options struct {
	Nodes    int       // 0: 2
	Progress io.Writer // gets the lines of the compile, which takes minutes once
	LogDir   string    // keeps the logs of the cluster's processes; empty: not kept
}

type simulated struct{ *sim.Cluster }

var _ driver.Faults = simulated{}

// Start brings a cluster up. An error wraps driver.ErrUnsupported where this
// machine can't.
func Start(ctx context.Context, o Options) (driver.Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	options := []sim.Option{sim.WithNodes(o.Nodes), sim.WithProgress(o.Progress)}
	if o.LogDir != "" {
		options = append(options, sim.WithLogDir(o.LogDir))
	}
	c, err := sim.StartCluster(ctx, options...)
	if err != nil {
		if errors.Is(err, sim.ErrUnsupported) || errors.Is(err, sim.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", driver.ErrUnsupported, err)
		}
		return nil, err
	}
	return simulated{c}, nil
}

func (simulated) Name() string   { return Name }
func (s simulated) Logs() string { return s.LogTail() }
func (s simulated) Close() error { return s.Stop() }

func (s simulated) RESTConfig() *rest.Config { return s.Cluster.RESTConfig() }

func (s simulated) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return s.Cluster.DialContext(ctx, network, address)
}

func (s simulated) LoadImage(ctx context.Context, i driver.Image) error {
	return s.Cluster.LoadImage(ctx, sim.Image{Name: i.Name, Files: i.Files, Entrypoint: i.Entrypoint, User: i.User})
}

// restrictions are the labels by which a namespace refuses pods that run as
// root.
var restrictions = []string{"pod-security.kubernetes.io/enforce"}

// Fit takes out what a cluster with a single user can't honour: where only one
// uid is mapped, every container runs as that one.
func (s simulated) Fit(o *unstructured.Unstructured) []string {
	if !s.OneUser() {
		return nil
	}
	return fitOneUser(o)
}

func fitOneUser(o *unstructured.Unstructured) []string {
	name := o.GetKind() + " " + o.GetName()
	switch o.GetKind() {
	case "Namespace":
		labels := o.GetLabels()
		for _, r := range restrictions {
			if labels[r] == "restricted" {
				delete(labels, r)
				o.SetLabels(labels)
				return []string{fmt.Sprintf("%s: %s was left out, as this cluster has one user only", name, r)}
			}
		}
	case "Deployment", "StatefulSet", "DaemonSet":
		template, found, _ := unstructured.NestedMap(o.Object, "spec", "template", "spec")
		if !found || !forgetUsers(template) {
			return nil
		}
		if err := unstructured.SetNestedMap(o.Object, template, "spec", "template", "spec"); err != nil {
			return nil
		}
		return []string{fmt.Sprintf("%s: its pods ran as the one user that this cluster has, not as runAsUser and fsGroup say (start the verification as root, or give yourself subordinate ids in /etc/subuid and /etc/subgid)", name)}
	}
	return nil
}

// forgetUsers takes the users out of a pod's spec, and says whether there were
// any.
func forgetUsers(pod map[string]any) bool {
	found := false
	forget := func(in map[string]any) {
		context, ok := in["securityContext"].(map[string]any)
		if !ok {
			return
		}
		for _, field := range []string{"runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups"} {
			if _, ok := context[field]; ok {
				delete(context, field)
				found = true
			}
		}
	}
	forget(pod)
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := pod[list].([]any)
		for _, c := range containers {
			if container, ok := c.(map[string]any); ok {
				forget(container)
			}
		}
	}
	return found
}
