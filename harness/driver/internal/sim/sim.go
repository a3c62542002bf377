// Package sim drives the simulated cluster: Kubernetes as plain processes, without
// Docker, root, images or a network (see package harness/sim).
package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/sim"
)

// Name is the name of this kind of cluster.
const Name = "sim"

// Options describe the cluster.
type Options struct {
	Nodes    int       // 0: 2
	Progress io.Writer // gets the progress of the compiler, which needs minutes the first time
	LogDir   string    // for the logs of the cluster's processes; empty: they are not kept
	// ProxySync is sim.WithProxySync's.
	ProxySync time.Duration
}

// simulated is a cluster.Cluster. Most methods are those of sim.Cluster.
type simulated struct{ *sim.Cluster }

var _ cluster.Faults = simulated{}

// Start brings up a cluster. An error wraps cluster.ErrUnsupported if this host can't.
func Start(ctx context.Context, o Options) (cluster.Cluster, error) {
	if o.Nodes == 0 {
		o.Nodes = 2
	}
	options := []sim.Option{sim.WithNodes(o.Nodes), sim.WithProgress(o.Progress), sim.WithProxySync(o.ProxySync)}
	if o.LogDir != "" {
		options = append(options, sim.WithLogDir(o.LogDir))
	}
	c, err := sim.StartCluster(ctx, options...)
	if err != nil {
		if errors.Is(err, sim.ErrUnsupported) || errors.Is(err, sim.ErrUnavailable) {
			err = fmt.Errorf("%w: %w", cluster.ErrUnsupported, err)
		}
		return nil, err
	}
	return simulated{c}, nil
}

func (simulated) Name() string      { return Name }
func (simulated) Namespace() string { return cluster.Namespace }
func (simulated) Shared() bool      { return false }
func (s simulated) Logs() string    { return s.LogTail() }
func (s simulated) Close() error    { return s.Stop() }

func (s simulated) LoadImage(ctx context.Context, i cluster.Image) error {
	if len(i.Files) == 0 && i.Root == "" {
		return fmt.Errorf("%w: the simulated cluster has no container engine to take the image %s from; give its file with --image %s=FILE, or the program with --image-binary", cluster.ErrUnsupported, i.Name, i.Name)
	}
	name, _, _ := strings.Cut(i.Name, "@") // the nodes look for the name alone, as they can't check a digest
	return s.Cluster.LoadImage(ctx, sim.Image{
		Name: name, Root: i.Root, Files: i.Files, Entrypoint: i.Entrypoint, Cmd: i.Cmd, Env: i.Env,
		User: i.User, Username: i.Username, WorkingDir: i.WorkingDir, StopSignal: i.StopSignal,
	})
}

// Fit gives pods that claim volumes empty folders instead, as the cluster has no storage.
// All other pods are accepted. If the host lets the cluster use only one user id, it
// notes which pods do not run as the user that they ask for.
func (s simulated) Fit(objects []*unstructured.Unstructured) (fitted []*unstructured.Unstructured, notes []string, err error) {
	for _, o := range objects {
		if emptyVolumes(o) {
			notes = append(notes, fmt.Sprintf("%s %s: its pods had empty folders instead of the volumes that they claim, as this cluster has no storage. What a pod writes is gone with it.", o.GetKind(), o.GetName()))
		}
		if s.OneUser() && asksForUser(o) {
			notes = append(notes, fmt.Sprintf("%s %s: its pods ran as the one user that this cluster has, not as runAsUser and fsGroup say. "+
				"Start the verification as root, or give yourself subordinate ids (package uidmap, /etc/subuid and /etc/subgid).", o.GetKind(), o.GetName()))
		}
	}
	return objects, notes, nil
}

// asksForUser reports whether the pods of a workload specify users or groups.
func asksForUser(o *unstructured.Unstructured) bool {
	pod, found, err := unstructured.NestedMap(o.Object, "spec", "template", "spec")
	if err != nil || !found {
		return false
	}
	holders := []any{pod}
	for _, list := range []string{"containers", "initContainers"} {
		containers, _ := pod[list].([]any)
		holders = append(holders, containers...)
	}
	for _, h := range holders {
		holder, _ := h.(map[string]any)
		security, _ := holder["securityContext"].(map[string]any)
		for _, field := range []string{"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"} {
			if _, ok := security[field]; ok {
				return true
			}
		}
	}
	return false
}
