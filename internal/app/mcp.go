package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/config"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/catalogue"
	"kubernaut.io/dynamic-toolset/service/detect"
	"kubernaut.io/dynamic-toolset/service/explain"
	"kubernaut.io/dynamic-toolset/service/tools"
	"kubernaut.io/dynamic-toolset/transport/api"
)

// MCP implements the command mcp: it reads the cluster and follows its changes, and answers
// messages of the Model Context Protocol from in on out until in ends. warn is called with
// what somebody should fix.
func MCP(s *config.MCP, version string, in io.Reader, out io.Writer, warn func(string)) error {
	rules, err := loadRules(s.Discovery.Rules)
	if err != nil {
		return err
	}
	overrides, err := loadOverrides(s.Overrides)
	if err != nil {
		return err
	}
	index := usesWorkloads(s.Cluster, s.Discovery)
	evidence := asEvidence(index)
	c := catalogue.New(recognise(rules, s.Cluster.Domain, evidence, config.IdentifyOff, func(*corev1.Service, detect.Result) {}), nil)
	c.SetOverrides(overrides)
	sink, follower := through(index, c)
	r, err := newReader(&s.Reading, version, sink, follower)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	if err := r.start(ctx, &running, s.Timeout); err != nil {
		refused, ok := errors.AsType[*unusable](err)
		if !ok {
			return err
		}
		for _, p := range refused.problems {
			warn(p.String())
		}
	}
	c.Build()
	running.Go(func() { c.Run(ctx) })
	x := explainer{r.source, rules, detect.Options{ClusterDomain: s.Cluster.Domain, Workloads: evidence}, c}
	server := api.NewMCP(version, func() tools.View {
		health, identity := c.Asks()
		return tools.View{Snapshot: c.Snapshot(), StaleSince: r.source.Status().StaleSince(), Unchecked: !health, Unasked: !identity, Explain: x.toAgent}
	})
	return server.ServeLines(ctx, in, out)
}

// toAgent is explain with errors that an agent on this machine may see.
func (x *explainer) toAgent(ctx context.Context, key service.Key) (*explain.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	d, err := x.explain(ctx, key)
	if missing, ok := errors.AsType[*explain.Missing](err); ok {
		return nil, &tools.Refusal{Text: "There is no Service " + missing.Which()}
	}
	if err != nil {
		return nil, &tools.Refusal{Text: fmt.Sprintf("The Service could not be read from the cluster: %v", err)}
	}
	return d, nil
}
