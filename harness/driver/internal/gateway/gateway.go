// Package gateway leads into the network of a cluster that this host is not part of.
// Its [Gateway] is a pod that relays connections (package relay). A [Reach] connects to
// that pod; a [Forwarder] has one for any cluster.
package gateway

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/load/agentpod"
	"kubernaut.io/dynamic-toolset/harness/load/relay"
)

// Reach connects to the gateway's own port. address is the destination for which the
// connection will be used; a Reach may separate destinations by it.
type Reach func(ctx context.Context, gateway *corev1.Pod, address string) (net.Conn, error)

// Options describe the gateway.
type Options struct {
	Client    kubernetes.Interface
	Namespace string
	Image     string
	Port      int               // 0: agentpod.Port
	Edit      func(*corev1.Pod) // changes the pod before it is created; may be nil
	Reach     Reach
}

// Gateway is a pod that relays connections.
type Gateway struct {
	pod   *agentpod.Pod
	reach Reach
}

// Start creates the pod and returns when it answers. The pod is deleted with its
// cluster, or its namespace.
func Start(ctx context.Context, o Options) (*Gateway, error) {
	pod, err := agentpod.Start(ctx, agentpod.Options{
		Client: o.Client, Namespace: o.Namespace, Name: "gateway", Image: o.Image, Port: o.Port, Edit: o.Edit,
		Dial: func(ctx context.Context, pod *corev1.Pod) (net.Conn, error) { return o.Reach(ctx, pod, "") },
	})
	if err != nil {
		return nil, fmt.Errorf("the way into the cluster's network: %w", err)
	}
	return &Gateway{pod, o.Reach}, nil
}

// DialContext connects to an address of the cluster from the pod. For errors of that
// dial, see relay.Dial.
func (g *Gateway) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.reach(ctx, g.pod.Pod, address)
	if err != nil {
		return nil, fmt.Errorf("the way into the cluster's network: %w", err)
	}
	return relay.Dial(ctx, conn, network, address)
}
