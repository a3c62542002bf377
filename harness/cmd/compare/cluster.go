package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"kubernaut.io/dynamic-toolset/harness/cluster"
	"kubernaut.io/dynamic-toolset/harness/driver"
)

// ours are the clusters that this command can use: those that it brings up and
// takes down itself.
var ours = []string{driver.Sim, driver.Kind}

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
func (s *comparison) openCluster(ctx context.Context, name, agent string) (cluster.Cluster, error) {
	o := s.cluster
	o.Name, o.AgentBinary, o.Progress = name, agent, s.progress
	return driver.Open(ctx, o)
}
