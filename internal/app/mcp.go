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
// messages of the Model Context Protocol from in on out until in ends. It does not wait for
// the cluster, except with calls of tools, and with these not for long. say is called with
// what somebody on this machine should know.
func MCP(s *config.MCP, version string, in io.Reader, out io.Writer, say func(string)) error {
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
	first := newFirstRead(r, min(s.Timeout, mostCallPatience))
	running.Go(func() {
		if first.run(ctx, &running, s.Timeout, say, c.Build) {
			c.Run(ctx)
		}
	})
	x := explainer{r.source, rules, detect.Options{ClusterDomain: s.Cluster.Domain, Workloads: evidence}, c}
	server := api.NewMCP(version, func() tools.View {
		if err := first.wait(); err != nil {
			return tools.View{Unread: fmt.Sprintf("No back ends are known yet: %v. Ask again in a few seconds; if that does not help, tell the user.", err)}
		}
		health, identity := c.Asks()
		return tools.View{Snapshot: c.Snapshot(), StaleSince: r.source.Status().StaleSince(), Unchecked: !health, Unasked: !identity, Explain: x.toAgent}
	})
	if err := server.ServeLines(ctx, in, out); err != nil {
		return err
	}
	if err := first.wait(); err != nil {
		return fmt.Errorf("the input has ended before %s was read: %w", r.place, err)
	}
	return nil
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
