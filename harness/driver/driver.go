// Package driver brings up the cluster in which a verification takes place: a
// simulated one, one of kind, or a namespace of one that exists. [Open] is the only
// way in; what is behind it, one package for each kind of cluster, is internal.
//
// What a cluster can do is said by package cluster, apart from this one: who is
// given a cluster and uses it then links neither kind nor what else it takes to
// bring one up.
package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/sim"
)

// The kinds of clusters.
const (
	Sim        = sim.Name
	Kind       = kind.Name
	Kubeconfig = kubeconfig.Name
)

// Options say which cluster, and how it should be. What a kind of cluster has no
// use for it ignores.
type Options struct {
	Name string // Sim, Kind or Kubeconfig

	Nodes      int       // that run pods; 0: 2 (Sim, Kind)
	NodeImage  string    // of the nodes; empty: kind's own, which it pulls (Kind)
	KindConfig string    // file with a kind configuration; empty: none (Kind)
	Existing   *Existing // the cluster that was chosen (Kubeconfig)

	// Image must be in the container engine, to be loaded later: that it is missing is
	// said before a cluster is made; empty: none (Kind).
	Image string
	// AgentBinary is the load generator's program, static (Kind).
	AgentBinary string

	Progress io.Writer // gets a line for each step; nil: nobody
	LogDir   string    // keeps the logs of the cluster's own processes; empty: they are not kept
}

// AddKindFlags adds the flags for a cluster of kind, --node-image and --kind-config.
// Their defaults are what the environment of this machine says.
func (o *Options) AddKindFlags(s *pflag.FlagSet) {
	here := kind.FromEnvironment()
	s.StringVar(&o.NodeImage, "node-image", here.NodeImage, "`IMAGE` of the nodes (kind), also by $"+kind.NodeImageVariable+"; empty: kind's own, which it pulls")
	s.StringVar(&o.KindConfig, "kind-config", here.Config, "`FILE` with a kind configuration (kind), also by $"+kind.ConfigVariable+"; where it names nodes, --nodes has no effect")
}

// Existing is a cluster that exists, chosen and not yet touched.
type Existing = kubeconfig.Target

// Choice says which existing cluster is meant, and what may be made in it.
type Choice = kubeconfig.Options

// Choose finds the existing cluster that is meant, and sends it nothing: its user can
// still be asked.
func Choose(c Choice) (*Existing, error) { return kubeconfig.Choose(c) }

// Check says what is wrong with the name of a kind of cluster.
func Check(name string) error {
	if names := []string{Sim, Kind, Kubeconfig}; !slices.Contains(names, name) {
		return fmt.Errorf("there is no kind of cluster %q; there are: %s", name, strings.Join(names, ", "))
	}
	return nil
}

// Open brings a cluster up. Its Close takes it down. An error wraps
// [cluster.ErrUnsupported] where this machine can't.
func Open(ctx context.Context, o Options) (cluster.Cluster, error) {
	switch o.Name {
	case Sim:
		return sim.Start(ctx, sim.Options{Nodes: o.Nodes, Progress: o.Progress, LogDir: o.LogDir})
	case Kind:
		return kind.Start(ctx, kind.Options{
			Workers: o.Nodes, NodeImage: o.NodeImage, Config: o.KindConfig, Image: o.Image, Agent: o.AgentBinary, Progress: o.Progress, LogDir: o.LogDir,
		})
	case Kubeconfig:
		if o.Existing == nil {
			return nil, errors.New("no existing cluster was chosen")
		}
		return kubeconfig.Start(ctx, o.Existing)
	}
	return nil, Check(o.Name)
}
