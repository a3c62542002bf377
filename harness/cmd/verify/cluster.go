package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/driver/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/kubeconfig"
	"kubernaut.io/dynamic-toolset/harness/driver/open"
	"kubernaut.io/dynamic-toolset/harness/driver/simulated"
	"kubernaut.io/dynamic-toolset/harness/manifest"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// clusterFlags say which cluster, and how it should be.
type clusterFlags struct {
	cluster               string
	nodes                 int
	nodeImage, kindConfig string

	kubeconfig, context, namespace, agentImage string
	yes                                        bool
}

// onlyFor names the clusters for which a flag means something.
var onlyFor = map[string][]string{
	"nodes": {simulated.Name, kind.Name}, "node-image": {kind.Name}, "kind-config": {kind.Name},
	"kubeconfig": {kubeconfig.Name}, "context": {kubeconfig.Name}, "namespace": {kubeconfig.Name}, "yes": {kubeconfig.Name},
	"agent-image": {kubeconfig.Name},
}

func (f *clusterFlags) add(s *pflag.FlagSet) {
	s.StringVar(&f.cluster, "cluster", simulated.Name, "`KIND` of cluster: sim, kind or kubeconfig; see above")
	s.IntVar(&f.nodes, "nodes", 2, "`NUMBER` of nodes that run pods (sim, kind)")
	here := kind.FromEnvironment()
	s.StringVar(&f.nodeImage, "node-image", here.NodeImage, "`IMAGE` of the nodes (kind), also by $"+kind.NodeImageVariable+"; empty: kind's own, which it pulls")
	s.StringVar(&f.kindConfig, "kind-config", here.Config, "`FILE` with a kind configuration (kind), also by $"+kind.ConfigVariable+"; where it names nodes, --nodes has no effect")
	s.StringVar(&f.kubeconfig, "kubeconfig", "", "`FILE` that names the cluster (kubeconfig); empty: $KUBECONFIG or ~/.kube/config")
	s.StringVar(&f.context, "context", "", "context `NAME` in that file (kubeconfig); empty: its current one")
	s.StringVar(&f.namespace, "namespace", "", "`NAME` of the namespace to make and to delete at the end (kubeconfig); empty: a name of its own")
	s.StringVar(&f.agentImage, "agent-image", "", "`NAME` of the load generator's image, where the cluster pulls from (kubeconfig)")
	s.BoolVar(&f.yes, "yes", false, "don't ask before an existing cluster is used (kubeconfig)")
}

func (f *clusterFlags) check(set *pflag.FlagSet) error {
	if err := open.Check(f.cluster); err != nil {
		return fmt.Errorf("--cluster: %w", err)
	}
	var wrong []error
	set.Visit(func(flag *pflag.Flag) {
		if clusters := onlyFor[flag.Name]; clusters != nil && !slices.Contains(clusters, f.cluster) {
			wrong = append(wrong, fmt.Errorf("--%s means nothing for the cluster %s; it is for: %s", flag.Name, f.cluster, strings.Join(clusters, ", ")))
		}
	})
	if f.nodes < 1 || f.nodes > 10 {
		wrong = append(wrong, fmt.Errorf("--nodes is %d; it must be between 1 and 10", f.nodes))
	}
	return errors.Join(wrong...)
}

// errNotAgreed is the end of a run that the user did not want.
var errNotAgreed = errors.New("nothing was done")

// choose finds the existing cluster that is meant and asks whether it is.
func (f *clusterFlags) choose(o *verify.Options, stdin io.Reader, stderr io.Writer) (*kubeconfig.Target, error) {
	if f.cluster != kubeconfig.Name {
		return nil, nil
	}
	t, err := kubeconfig.Choose(kubeconfig.Options{Kubeconfig: f.kubeconfig, Context: f.context, Namespace: f.namespace, AgentImage: f.agentImage})
	if err != nil {
		return nil, err
	}
	if _, err := manifest.Read(append(slices.Clone(o.Around), o.Manifests...)...); err != nil {
		return nil, err // before anything is asked
	}
	fmt.Fprintf(stderr, `This uses a cluster that exists:

  context    %s
  server     %s
  namespace  %s (made now, deleted at the end; nothing else is touched)
  objects    of %s
  traffic    %g requests per second inside the cluster, scenario %s

If the verification is killed: kubectl --context %s delete namespace %s

`, t.Context, t.Server, t.Namespace, strings.Join(append(slices.Clone(o.Manifests), o.Around...), ", "), o.Traffic.Rate, o.Scenario, t.Context, t.Namespace)
	if f.yes {
		return t, nil
	}
	if file, ok := stdin.(*os.File); ok && !term.IsTerminal(int(file.Fd())) { // #nosec G115 -- a file descriptor
		return nil, fmt.Errorf("%w: it would use the cluster of the context %s, and there is no terminal to ask at; say --yes if that is meant", errNotAgreed, t.Context)
	}
	fmt.Fprint(stderr, "Go on? [y/N] ")
	answer, err := bufio.NewReader(io.LimitReader(stdin, 100)).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); err != nil || answer != "y" && answer != "yes" {
		return nil, errNotAgreed
	}
	return t, nil
}

// open brings the cluster up.
func (f *flags) open(ctx context.Context, existing *kubeconfig.Target, p *progress) (driver.Cluster, error) {
	switch f.cluster {
	case simulated.Name:
		p.say("starting a simulated cluster with %d nodes", f.nodes)
	case kind.Name:
		if f.o.Image != "" {
			if err := kind.CheckImage(ctx, f.o.Image); err != nil {
				return nil, err
			}
		}
		p.say("starting a kind cluster with %d workers", f.nodes)
	default:
		p.say("making the namespace %s", existing.Namespace)
	}
	return open.Cluster(ctx, open.Options{
		Name: f.cluster, Nodes: f.nodes, NodeImage: f.nodeImage, KindConfig: f.kindConfig, Existing: existing,
		AgentBinary: f.agent, Progress: p, LogDir: f.clusterLogs,
	})
}
