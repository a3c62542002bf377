// Package driver brings up the cluster for a verification: a simulated one, one of
// kind, or a namespace of an existing one. [Open] is the only way in. Behind it there
// is an internal package for each kind of cluster.
//
// The interface of a cluster is in package cluster. So code that is given a cluster and
// only uses it links neither kind nor whatever else it takes to bring one up.
package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/driver/internal/sim"
)

const (
	Sim        = sim.Name
	Kind       = kind.Name
	Kubeconfig = kubeconfig.Name
)

// Options say which cluster to bring up, and how. A kind of cluster ignores options
// that it has no use for.
type Options struct {
	Name string // Sim, Kind or Kubeconfig

	Nodes      int       // nodes that run pods; 0: 2 (Sim, Kind)
	NodeImage  string    // empty: kind's own, which it pulls (Kind)
	KindConfig string    // file with a kind configuration; empty: none (Kind)
	Existing   *Existing // as returned by Choose (Kubeconfig)

	// Image must be in the container engine, to be loaded later. If it is missing, Open
	// returns an error before it makes the cluster. Empty: none (Kind).
	Image string
	// ProxySync is how often at most kube-proxy changes a node's rules; 0: once a second, as
	// by default (Sim).
	ProxySync time.Duration
	// AgentBinary is the load generator's program, statically linked (Kind).
	AgentBinary string

	Progress io.Writer // gets a line for each step; may be nil
	LogDir   string    // for the logs of the cluster's own processes; empty: they are not kept
}

// AddKindFlags adds the flags --node-image and --kind-config, for a cluster of kind.
// The environment sets their defaults.
func (o *Options) AddKindFlags(s *pflag.FlagSet) {
	here := kind.FromEnvironment()
	s.StringVar(&o.NodeImage, "node-image", here.NodeImage, "`IMAGE` of the nodes (kind), also by $"+kind.NodeImageVariable+"; empty: kind's own, which it pulls")
	s.StringVar(&o.KindConfig, "kind-config", here.Config, "`FILE` with a kind configuration (kind), also by $"+kind.ConfigVariable+"; if it lists nodes, --nodes has no effect")
}

// Existing is an existing cluster that was chosen, but not used yet.
type Existing = kubeconfig.Target

// Choice says which existing cluster to use, and what may be created in it.
type Choice = kubeconfig.Options

// Choose finds the existing cluster. It makes no request, so that the user can still be
// asked to confirm.
func Choose(c Choice) (*Existing, error) { return kubeconfig.Choose(c) }

// Check returns an error if there is no kind of cluster of this name.
func Check(name string) error {
	if names := []string{Sim, Kind, Kubeconfig}; !slices.Contains(names, name) {
		return fmt.Errorf("there is no kind of cluster %q; there are: %s", name, strings.Join(names, ", "))
	}
	return nil
}

// Open brings up a cluster, which must be closed. An error wraps
// [cluster.ErrUnsupported] if this host can't have such a cluster.
func Open(ctx context.Context, o Options) (cluster.Cluster, error) {
	switch o.Name {
	case Sim:
		return sim.Start(ctx, sim.Options{Nodes: o.Nodes, Progress: o.Progress, LogDir: o.LogDir, ProxySync: o.ProxySync})
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
