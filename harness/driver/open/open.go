// Package open brings up a cluster of whichever kind, by its name.
package open

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/driver/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/driver/simulated"
)

// Names are the kinds of clusters, the default first.
func Names() []string { return []string{simulated.Name, kind.Name, kubeconfig.Name} }

// Options say which cluster, and how it should be. What a kind of cluster has no
// use for it ignores.
type Options struct {
	Name string // one of Names

	Nodes     int    // that run pods; 0: 2 (sim, kind)
	NodeImage string // kind; empty: kind's own
	// KindConfig is a file with a kind configuration; empty: none.
	KindConfig string

	// Existing is the cluster that was chosen (kubeconfig).
	Existing *kubeconfig.Target

	AgentBinary string    // the load generator's program, static (kind)
	Progress    io.Writer // gets a line for each step; nil: nobody
	LogDir      string    // keeps the logs of the cluster's own processes; empty: they are not kept
}

// Check says what can't be, before anything is started.
func Check(name string) error {
	if !slices.Contains(Names(), name) {
		return fmt.Errorf("there is no kind of cluster %q; there are: %s", name, strings.Join(Names(), ", "))
	}
	return nil
}

// Cluster brings one up. An error wraps driver.ErrUnsupported where this machine
// can't.
func Cluster(ctx context.Context, o Options) (driver.Cluster, error) {
	if err := Check(o.Name); err != nil {
		return nil, err
	}
	switch o.Name {
	case kind.Name:
		return kind.Start(ctx, kind.Options{
			Workers: o.Nodes, NodeImage: o.NodeImage, Config: o.KindConfig, Agent: o.AgentBinary, Progress: o.Progress, LogDir: o.LogDir,
		})
	case kubeconfig.Name:
		if o.Existing == nil {
			return nil, fmt.Errorf("no existing cluster was chosen")
		}
		return o.Existing.Start(ctx)
	}
	return simulated.Start(ctx, simulated.Options{Nodes: o.Nodes, Progress: o.Progress, LogDir: o.LogDir})
}
