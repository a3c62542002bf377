// Package gateway is a way into the network of a cluster that this machine is no
// part of: a pod inside that relays connections (package relay).
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

// Reach connects to the gateway's own port. What comes after it, the address,
// says for which destination; a Reach may keep these apart.
type Reach func(ctx context.Context, gateway *corev1.Pod, address string) (net.Conn, error)

// Options say how the gateway should be.
type Options struct {
	Client    kubernetes.Interface
	Namespace string
	Image     string
	Port      int               // 0: agentpod.Port
	Edit      func(*corev1.Pod) // changes the pod before it is made; nil: nothing
	Reach     Reach
}

// Gateway is a pod that relays.
type Gateway struct {
	pod   *agentpod.Pod
	reach Reach
}

// Start makes the pod and returns when it answers. The pod goes with its cluster,
// or its namespace.
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

// DialContext connects to an address of the cluster, as the pod does. Errors of
// that dial arrive as they were (see relay.Dial).
func (g *Gateway) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := g.reach(ctx, g.pod.Pod, address)
	if err != nil {
		return nil, fmt.Errorf("the way into the cluster's network: %w", err)
	}
	return relay.Dial(ctx, conn, network, address)
}
