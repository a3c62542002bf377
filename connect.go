package main

import (
	"context"

	"kubernaut.io/dynamic-toolset/cluster"
)

// connect makes the source for a real cluster.
func (a *app) connect() error {
	s := a.settings
	cfg, err := cluster.Connect(s.Cluster.Kubeconfig, s.Cluster.Context, versionText())
	if err != nil {
		return err
	}
	a.source, err = cluster.NewKubernetes(cfg, cluster.KubernetesOptions{
		Sink: a.catalogue, Logger: a.log, Namespaces: s.Cluster.Namespaces, Resync: s.Cluster.Resync,
	})
	return err
}

var _ = context.Background
