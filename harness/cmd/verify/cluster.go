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
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/verify"
)

// clusterFlags say which cluster to use, and how.
type clusterFlags struct {
	cluster driver.Options
	choice  driver.Choice // of an existing cluster
	yes     bool
}

// onlyFor has the kinds of clusters that a flag is for.
var onlyFor = map[string][]string{
	"kube-proxy-sync": {driver.Sim},
	"nodes":           {driver.Sim, driver.Kind}, "node-image": {driver.Kind}, "kind-config": {driver.Kind},
	"kubeconfig": {driver.Kubeconfig}, "context": {driver.Kubeconfig}, "namespace": {driver.Kubeconfig}, "yes": {driver.Kubeconfig},
	"agent-image": {driver.Kubeconfig},
}

func (f *clusterFlags) add(s *pflag.FlagSet) {
	s.StringVar(&f.cluster.Name, "cluster", driver.Sim, "`KIND` of cluster: sim, kind or kubeconfig; see above")
	s.IntVar(&f.cluster.Nodes, "nodes", 2, "`NUMBER` of nodes that run pods (sim, kind)")
	s.DurationVar(&f.cluster.ProxySync, "kube-proxy-sync", 0, "have kube-proxy change the nodes' rules at most once in `DURATION` (its minSyncPeriod), as in a cluster with many Services: pods get new connections for that much longer after they are told to stop (sim); 0: 1s, its default")
	f.cluster.AddKindFlags(s)
	s.StringVar(&f.choice.Kubeconfig, "kubeconfig", "", "`FILE` that names the cluster (kubeconfig); empty: $KUBECONFIG or ~/.kube/config")
	s.StringVar(&f.choice.Context, "context", "", "context `NAME` in that file (kubeconfig); empty: its current one")
	s.StringVar(&f.choice.Namespace, "namespace", "", "`NAME` of the namespace to create, and to delete at the end (kubeconfig); empty: a random one")
	s.StringVar(&f.choice.AgentImage, "agent-image", "", "`NAME` of the load generator's image, which the cluster can pull (kubeconfig)")
	s.BoolVar(&f.yes, "yes", false, "don't ask before an existing cluster is used (kubeconfig)")
}

func (f *clusterFlags) check(set *pflag.FlagSet) error {
	if err := driver.Check(f.cluster.Name); err != nil {
		return fmt.Errorf("--cluster: %w", err)
	}
	var wrong []error
	set.Visit(func(flag *pflag.Flag) {
		if clusters := onlyFor[flag.Name]; clusters != nil && !slices.Contains(clusters, f.cluster.Name) {
			wrong = append(wrong, fmt.Errorf("--%s means nothing for the cluster %s; it is for: %s", flag.Name, f.cluster.Name, strings.Join(clusters, ", ")))
		}
	})
	if d := f.cluster.ProxySync; d < 0 || d > 5*time.Minute {
		wrong = append(wrong, fmt.Errorf("--kube-proxy-sync is %s; it must be between 0 and 5m", d))
	}
	if f.cluster.Nodes < 1 || f.cluster.Nodes > 10 {
		wrong = append(wrong, fmt.Errorf("--nodes is %d; it must be between 1 and 10", f.cluster.Nodes))
	}
	return errors.Join(wrong...)
}

// errNotAgreed is returned if the user does not confirm.
var errNotAgreed = errors.New("nothing was done")

// choose finds the existing cluster, and asks the user to confirm.
func (f *clusterFlags) choose(o *verify.Options, stdin io.Reader, stderr io.Writer) (*driver.Existing, error) {
	if f.cluster.Name != driver.Kubeconfig {
		return nil, nil
	}
	t, err := driver.Choose(f.choice)
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("  namespace  %s (made now, deleted at the end; nothing else is touched)\n  objects    of %s", t.Namespace, strings.Join(append(slices.Clone(o.Manifests), o.Around...), ", "))
	if o.InPlace != nil {
		what = fmt.Sprintf("  target     the %s, on which the scenario is carried out: its users may lose requests\n  namespace  %s for the load generator (made now, deleted at the end)", o.InPlace, t.Namespace)
	}
	fmt.Fprintf(stderr, `This uses a cluster that exists:

  context    %s
  server     %s
%s
  traffic    %g requests per second inside the cluster, scenario %s

If the verification is killed: %s

`, t.Context, t.Server, what, o.Traffic.Rate, o.Scenario, t.Removal())
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

// open starts the cluster.
func (f *flags) open(ctx context.Context, existing *driver.Existing, p *progress) (cluster.Cluster, error) {
	switch f.cluster.Name {
	case driver.Sim:
		p.say("starting a simulated cluster with %d nodes", f.cluster.Nodes)
	case driver.Kind:
		p.say("starting a kind cluster with %d workers", f.cluster.Nodes)
	default:
		p.say("making the namespace %s", existing.Namespace)
	}
	o := f.cluster
	o.Existing, o.Image, o.AgentBinary, o.Progress = existing, f.o.Image, f.agent, p
	return driver.Open(ctx, o)
}
