// Package network is the wiring of one simulated cluster: a switch (a bridge), one
// network namespace per machine, and a cable (a veth pair) between each machine
// and the switch.
//
// The namespace in which [New] is called holds the switch and is itself a machine
// beside the nodes: the control plane runs there, and connections from outside the
// cluster start there. It reaches pods through their nodes, and Services through
// the first node whose cable is in place, as a client reaches a Service through
// any node of a real cluster.
package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Config are the networks, all IPv4.
type Config struct {
	Machines netip.Prefix // of the machines; the first address is the machine beside the nodes, 10 further on come the nodes
	Pods     netip.Prefix // each node gets a /24 of it
	Services netip.Prefix // their virtual addresses
	Nodes    int
}

// firstNode is the number of the first node's address in Config.Machines.
const firstNode = 10

// Node is one machine of the cluster.
type Node struct {
	Name    string
	Address netip.Addr
	Pods    netip.Prefix // the addresses of its pods

	namespace netns.NsHandle
	cut       bool
}

// Network is used by one goroutine at a time. It ends with the namespaces, that
// is, with the processes in them.
type Network struct {
	Outside netip.Addr // the address of the machine beside the nodes
	Nodes   []*Node

	config Config
	handle *netlink.Handle
	bridge int // its index
}

// New wires the machines up. The calling process needs CAP_NET_ADMIN over its
// network namespace, which must be fresh.
func New(config Config) (*Network, error) {
	n := &Network{Outside: nth(config.Machines.Addr(), 1), config: config}
	var err error
	if n.handle, err = netlink.NewHandle(); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	if err := n.outside(); err != nil {
		return nil, fmt.Errorf("the machine beside the nodes: %w", err)
	}
	for i := range config.Nodes {
		pods := netip.PrefixFrom(nth(config.Pods.Addr(), uint32(i+1)<<8), 24)
		n.Nodes = append(n.Nodes, &Node{
			Name: fmt.Sprintf("node%d", i), Address: nth(config.Machines.Addr(), uint32(firstNode+i)), Pods: pods,
		})
	}
	for _, node := range n.Nodes {
		if err := n.plug(node); err != nil {
			return nil, fmt.Errorf("%s: %w", node.Name, err)
		}
	}
	return n, n.routeServices()
}

// Node returns the node of that name.
func (n *Network) Node(name string) (*Node, error) {
	for _, node := range n.Nodes {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no node %q: they are called node0 to node%d", name, len(n.Nodes)-1)
}

// outside sets up the namespace that we are in.
func (n *Network) outside() error {
	if err := up(n.handle, "lo", netip.Prefix{}); err != nil {
		return err
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "switch"}}
	if err := n.handle.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add a bridge: %w", err)
	}
	n.bridge = bridge.Index
	if err := up(n.handle, bridge.Name, netip.PrefixFrom(n.Outside, n.config.Machines.Bits())); err != nil {
		return err
	}
	return sysctls(map[string]string{
		"net/ipv4/ip_forward": "1",
		// A load generator opens thousands of connections a second from here, all
		// to one address: with the defaults it would run out of ports before the
		// cluster runs out of anything.
		"net/ipv4/ip_local_port_range": "1024 65535",
		"net/ipv4/tcp_tw_reuse":        "1",
	})
}

// plug makes a node's namespace and connects it.
func (n *Network) plug(node *Node) error {
	var err error
	if node.namespace, err = newNamespace(); err != nil {
		return err
	}
	cable := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: node.Name, MasterIndex: n.bridge},
		PeerName:  "eth0", PeerNamespace: netlink.NsFd(node.namespace),
	}
	if err := n.handle.LinkAdd(cable); err != nil {
		return fmt.Errorf("add the cable: %w", err)
	}
	inside, err := netlink.NewHandleAt(node.namespace)
	if err != nil {
		return err
	}
	defer inside.Close()
	if err := up(inside, "lo", netip.Prefix{}); err != nil {
		return err
	}
	if err := up(inside, "eth0", netip.PrefixFrom(node.Address, n.config.Machines.Bits())); err != nil {
		return err
	}
	if err := up(n.handle, node.Name, netip.Prefix{}); err != nil {
		return err
	}
	routes := []*netlink.Route{{Gw: n.Outside.AsSlice()}}
	for _, other := range n.Nodes {
		r := &netlink.Route{Dst: ipNet(other.Pods), Gw: other.Address.AsSlice()}
		if other == node {
			// Packets for a pod that is gone vanish, as on a node with a real
			// network plugin; the routes of the pods there are are longer.
			r = &netlink.Route{Dst: ipNet(other.Pods), Type: unix.RTN_BLACKHOLE}
		}
		routes = append(routes, r)
	}
	for _, r := range routes {
		if err := inside.RouteAdd(r); err != nil {
			return fmt.Errorf("add the route %s: %w", r, err)
		}
	}
	return n.handle.RouteReplace(&netlink.Route{Dst: ipNet(node.Pods), Gw: node.Address.AsSlice()})
}

// routeServices sends packets for Services through the first node that is
// reachable. Without one it leaves things as they are: nothing answers.
func (n *Network) routeServices() error {
	for _, node := range n.Nodes {
		if !node.cut {
			r := &netlink.Route{Dst: ipNet(n.config.Services), Gw: node.Address.AsSlice()}
			if err := n.handle.RouteReplace(r); err != nil {
				return fmt.Errorf("route Services through %s: %w", node.Name, err)
			}
			return nil
		}
	}
	return nil
}

// Cut pulls the node's cable: nothing reaches it or its pods, and nothing comes
// from there, while all of its processes go on. A cable that is cut already is no
// error.
func (n *Network) Cut(name string) error { return n.setCable(name, true) }

// Restore plugs the cable in again.
func (n *Network) Restore(name string) error { return n.setCable(name, false) }

func (n *Network) setCable(name string, cut bool) error {
	node, err := n.Node(name)
	if err != nil {
		return err
	}
	// The switch's port, not the link: a link that is down takes the routes over
	// it away, and packets would be refused ("no route") instead of lost.
	link, err := n.handle.LinkByName(name)
	if err != nil {
		return err
	}
	if cut {
		err = n.handle.LinkSetNoMaster(link)
	} else {
		err = n.handle.LinkSetMasterByIndex(link, n.bridge)
	}
	if err != nil {
		return fmt.Errorf("the cable of %s: %w", name, err)
	}
	node.cut = cut
	return n.routeServices()
}

// Do calls fn on a thread that is in the node's network namespace; a process
// started there is in it. The thread ends with the call.
func (node *Node) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(node.namespace); err != nil {
			return fmt.Errorf("enter the network of %s: %w", node.Name, err)
		}
		return fn()
	})
}

// newNamespace makes a namespace that only the returned descriptor holds.
func newNamespace() (netns.NsHandle, error) {
	handle := netns.None()
	return handle, onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		// These files show the namespace of the thread that opens them.
		if err := sysctls(map[string]string{"net/ipv4/ip_forward": "1"}); err != nil {
			return err
		}
		var err error
		handle, err = netns.Get()
		return err
	})
}

// onOwnThread calls fn on a thread that is thrown away, whose namespaces it may
// therefore change.
func onOwnThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- fn()
	}()
	return <-result
}

// up sets a link up, with an address unless that is the zero prefix.
func up(h *netlink.Handle, name string, address netip.Prefix) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if address.IsValid() {
		if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet(address)}); err != nil {
			return fmt.Errorf("address %s of link %s: %w", address, name, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set link %s up: %w", name, err)
	}
	return nil
}

func sysctls(values map[string]string) error {
	for name, value := range values {
		if err := os.WriteFile("/proc/sys/"+name, []byte(value), 0); err != nil {
			return fmt.Errorf("set %s: %w", strings.ReplaceAll(name, "/", "."), err)
		}
	}
	return nil
}

// nth is the n-th address after a.
func nth(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

// ipNet keeps the host part of the address, which routes have none of.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
