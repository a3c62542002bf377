package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/driver/kind"
	"kubernaut.io/dynamic-toolset/harness/driver/open"
	"kubernaut.io/dynamic-toolset/harness/driver/simulated"
)

// ours are the clusters that this command can use: those that it brings up and
// takes down itself.
var ours = []string{simulated.Name, kind.Name}

// checkClusters says what can't be compared.
func checkClusters(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("name at least one cluster with --cluster: %s", strings.Join(ours, ", "))
	}
	for i, name := range names {
		if !slices.Contains(ours, name) {
			return fmt.Errorf("--cluster is %q; this command can bring up: %s", name, strings.Join(ours, ", "))
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("--cluster %s is given twice; a cluster is not compared with itself", name)
		}
	}
	return nil
}

// openCluster brings a cluster up.
func (s *comparison) openCluster(ctx context.Context, name, agent string) (driver.Cluster, error) {
	return open.Cluster(ctx, open.Options{
		Name: name, Nodes: s.nodes, NodeImage: s.nodeImage, KindConfig: s.kindConfig, AgentBinary: agent, Progress: s.progress,
	})
}
