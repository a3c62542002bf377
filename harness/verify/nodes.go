package verify

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"kubernaut.io/dynamic-toolset/harness/conntrack"
	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
)

// watchTimeout bounds the start of the pod that reads the connection tracking.
const watchTimeout = 30 * time.Second

// A nodeView is what the load's node says about where it sends connections.
type nodeView struct {
	pod   *agentpod.Pod
	trace *conntrack.Trace // nil: nothing is known
	why   string           // there is none
}

func (n *nodeView) close() error {
	if n.trace != nil {
		n.trace.Close()
	}
	if n.pod != nil {
		return n.pod.Remove()
	}
	return nil
}

// watchNode begins to collect to which pods the load's node sends connections. Without
// it, the run is as good, but less is known of what is lost.
func (v *verification) watchNode(ctx context.Context) { v.watch(ctx, v.startTrace) }

// watch begins to read the connection tracking, if that is allowed.
func (v *verification) watch(ctx context.Context, begin func(context.Context) error) {
	if v.cluster.Shared() && !v.ReadNodes {
		v.nodes.why = "to have it read in a cluster that others use, give --read-nodes"
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	if err := begin(ctx); err != nil && v.nodes.why == "" {
		v.nodes.why = err.Error()
	}
}

func (v *verification) startTrace(ctx context.Context) error {
	client, err := netip.ParseAddr(v.agent.Status.PodIP)
	if err != nil {
		return err
	}
	service, err := netip.ParseAddrPort(v.loadAddress())
	if err != nil {
		return err
	}
	if v.nodes.pod, err = v.startWatcher(ctx, "connections", v.agent.Spec.NodeName); err != nil {
		return err
	}
	v.nodes.trace, err = conntrack.Follow(ctx, v.cluster.DialContext, v.nodes.pod.Address, conntrack.Filter{Client: client, Service: service})
	return err
}

// startWatcher starts a pod that reads the connection tracking of a node.
func (v *verification) startWatcher(ctx context.Context, name, node string) (*agentpod.Pod, error) {
	port := conntrack.FirstPort + rand.IntN(conntrack.Ports) // #nosec G404 -- no secret
	return agentpod.Start(ctx, agentpod.Options{
		Client: v.client, Namespace: v.cluster.Namespace(), Name: name,
		Image: v.agent.Spec.Containers[0].Image, Port: port, Edit: func(p *corev1.Pod) { inNode(p, node) },
		Dial: func(ctx context.Context, pod *corev1.Pod) (net.Conn, error) {
			return v.cluster.DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port)))
		},
	})
}

// inNode puts a pod into the network of a node, where it may read the connection
// tracking.
func inNode(p *corev1.Pod, node string) {
	no, root := false, int64(0)
	p.Spec.NodeName, p.Spec.HostNetwork = node, true
	// Capabilities are for root only, unless the program's file grants them.
	p.Spec.SecurityContext.RunAsNonRoot, p.Spec.SecurityContext.RunAsUser = &no, &root
	c := &p.Spec.Containers[0]
	c.Args = append(c.Args, "--connections")
	c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
}

// attribute finds the pods of requests that no response names, and says in a note if
// that could be done better.
func (v *verification) attribute() {
	a := attribution{run: &v.run}
	if v.nodes.trace != nil {
		v.nodes.trace.Close()
		a.trace, a.node = v.nodes.trace, v.agent.Spec.NodeName
		if err := v.nodes.trace.Problem(); err != nil {
			v.nodes.why = err.Error()
		}
	}
	if v.via != nil {
		v.attributeSides()
		return
	}
	a.all()
	if v.nodes.trace != nil {
		if v.run.Propagation = a.propagation(v.nodes.trace.Flows); v.run.Propagation != nil {
			v.run.Notes = append(v.run.Notes, advise(v.run.Propagation))
		}
	}
	if v.nodes.why != "" && a.unsure > 0 {
		v.run.Notes = append(v.run.Notes, fmt.Sprintf("Which pods have lost %d of the lost requests is not known for certain. The connection tracking of the node %s, which knows it, was not read: %s.",
			a.unsure, v.agent.Spec.NodeName, v.nodes.why))
	}
}

// notePorts says in notes which requests were not sent for want of a source port.
func (v *verification) notePorts() {
	for _, c := range v.run.Load {
		if c.NoPort > 0 {
			v.run.Notes = append(v.run.Notes, fmt.Sprintf("%s clients: %d requests were not sent, beside the %d that were. Each needed a new connection, and every source port of the load had been used within the last %s: the node would have taken it for the old connection. At most about %d connections a second can be opened; lower --rate to have all requests sent.",
				c.Class, c.NoPort, c.Sent, portRest, int(64_512/portRest.Seconds())))
		}
	}
}
