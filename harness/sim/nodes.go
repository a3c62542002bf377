package sim

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// maxNodes bounds the nodes of a cluster. Each takes 100 MB of memory.
const maxNodes = 20

// linkTimeout bounds a change of a node's link, which takes about a millisecond.
const linkTimeout = 10 * time.Second

// clusterNode has the processes of a node.
type clusterNode struct {
	nodeInfo
	first   *process // the container runtime, which owns the node's namespaces
	kubelet *process // nil while killed
	proxy   *process
}

// startNode starts the processes of a node.
func (c *Cluster) startNode(ctx context.Context, n *clusterNode) error {
	var err error
	if n.first, err = c.run(ctx, request{Name: n.Name, Role: nodeRole, Node: n.Name, Args: nodeFlags(n.nodeInfo), Socket: n.runtimeSocket()}); err != nil {
		return err
	}
	if n.kubelet, err = c.startKubelet(ctx, n); err != nil {
		return err
	}
	n.proxy, err = c.run(ctx, request{
		Name: n.Name + "-" + proxyRole, Role: proxyRole, Node: n.Name, Args: proxyFlags(n.nodeInfo, proxyRole+".kubeconfig", c.proxySync),
	})
	return err
}

func (c *Cluster) startKubelet(ctx context.Context, n *clusterNode) (*process, error) {
	return c.run(ctx, request{Name: n.Name + "-" + kubeletRole, Role: kubeletRole, Node: n.Name, Args: kubeletFlags(n.nodeInfo)})
}

// Nodes returns the names of the nodes: node0, node1 and so on.
func (c *Cluster) Nodes() []string {
	var names []string
	for _, n := range c.nodes {
		names = append(names, n.Name)
	}
	return names
}

func (c *Cluster) node(name string) (*clusterNode, error) {
	for _, n := range c.nodes {
		if n.Name == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("the cluster has no node %q, only %v", name, c.Nodes())
}

// CutLink cuts the network link of a node: no packet goes to or from it and its pods,
// while its processes go on running. Packets to it are lost; after some seconds in
// which ARP gets no answer, connections to it fail with "no route to host". After about
// 50 seconds, the controller manager's grace period, the node becomes NotReady. It is
// not an error if the link is cut already.
func (c *Cluster) CutLink(node string) error { return c.setLink("cut", node) }

// RestoreLink restores the link.
func (c *Cluster) RestoreLink(node string) error { return c.setLink("restore", node) }

func (c *Cluster) setLink(op, node string) error {
	if _, err := c.node(node); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), linkTimeout)
	defer cancel()
	_, err := c.supervisor.ask(ctx, request{Op: op, Name: node})
	return err
}

// KillKubelet kills the kubelet of a node as a crash would. The node's pods go on
// running, but nobody probes, stops or replaces them. It is not an error if the kubelet
// is dead already.
func (c *Cluster) KillKubelet(node string) error {
	n, err := c.node(node)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.kubelet == nil || c.stopped {
		return nil
	}
	p := n.kubelet
	n.kubelet = nil
	return c.supervisor.stop(p)
}

// StartKubelet starts the kubelet of a node again, which finds the pods that run. It
// returns when the process is started; the node is Ready later. It is not an error if
// the kubelet runs.
func (c *Cluster) StartKubelet(node string) error {
	n, err := c.node(node)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return fmt.Errorf("the %s has been stopped: start a new one", c.kind)
	}
	if n.kubelet != nil && !n.kubelet.hasEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	n.kubelet, err = c.startKubelet(ctx, n)
	return err
}

// waitNodes waits until pods can run: every node is Ready, and their ServiceAccount
// exists.
func (c *Cluster) waitNodes(ctx context.Context) error {
	get, done, err := c.getter()
	if err != nil {
		return err
	}
	defer done()
	for {
		last := get(ctx, "/api/v1/namespaces/default/serviceaccounts/default").Error()
		if last == nil {
			var nodes corev1.NodeList
			if last = get(ctx, "/api/v1/nodes").Into(&nodes); last == nil {
				if last = allReady(&nodes, len(c.nodes)); last == nil {
					return nil
				}
			}
		}
		if p := c.firstEnded(); p != nil {
			return withLog(fmt.Errorf("%s ended (%s) before the nodes were ready", p.name, p.status), p)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the nodes were not ready in time: %w; the last answer: %w\n%s", ctx.Err(), last, c.LogTail())
		case <-time.After(pollInterval):
		}
	}
}

// firstEnded returns a process that has ended by itself, or nil.
func (c *Cluster) firstEnded() *process {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.processes {
		if p.hasEnded() {
			return p
		}
	}
	return nil
}

// allReady returns an error unless so many nodes are Ready.
func allReady(nodes *corev1.NodeList, want int) error {
	ready := 0
	why := ""
	for _, n := range nodes.Items {
		for _, c := range n.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue {
				ready++
			} else if c.Type == corev1.NodeReady {
				why += "; " + n.Name + ": " + c.Message
			}
		}
	}
	if ready != want {
		return fmt.Errorf("%d of %d nodes are ready%s", ready, want, why)
	}
	return nil
}
