// Package network makes the network of one simulated cluster: a bridge as the switch, a
// network namespace per node, and a veth pair as the link between each node and the
// switch.
//
// The namespace in which [New] is called has the switch, and is itself a host beside
// the nodes: the control plane runs there, and connections from outside the cluster
// start there. It reaches pods through their nodes, and Services through the first node
// whose link is not cut, as clients reach a Service through any node of a real cluster.
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

// Config has the networks, all IPv4.
type Config struct {
	Machines netip.Prefix // of the nodes; the first address is that of the host beside them, the 10th that of the first node
	Pods     netip.Prefix // each node gets a /24 of it
	Services netip.Prefix // their cluster IPs
	Nodes    int
}

// firstNode is the number of the first node's address in Config.Machines.
const firstNode = 10

// Node is a node of the cluster.
type Node struct {
	Name    string
	Address netip.Addr
	Pods    netip.Prefix // the addresses of its pods

	namespace netns.NsHandle
	cut       bool
}

// Network may be used by one goroutine at a time. It ends with its namespaces, that is,
// with the last process in them.
type Network struct {
	Outside netip.Addr // the address of the host beside the nodes
	Nodes   []*Node

	config Config
	handle *netlink.Handle
	bridge int // index
}

// New makes the network. The process needs CAP_NET_ADMIN in its network namespace,
// which must be new.
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

// Node returns the node of this name.
func (n *Network) Node(name string) (*Node, error) {
	for _, node := range n.Nodes {
		if node.Name == name {
			return node, nil
		}
	}
	return nil, fmt.Errorf("no node %q: they are called node0 to node%d", name, len(n.Nodes)-1)
}

// outside sets up the namespace of this process.
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
		// A load generator opens thousands of connections a second from here to one
		// address. With the defaults it would run out of ports first.
		"net/ipv4/ip_local_port_range": "1024 65535",
		"net/ipv4/tcp_tw_reuse":        "1",
	})
}

// plug makes a node's namespace, and connects it.
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
			// Packets for a pod that is gone are lost, as with a real network plugin.
			// The routes of existing pods have longer prefixes.
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

// routeServices routes packets for Services through the first node whose link is not
// cut. If there is none, it changes nothing, and nobody answers.
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

// Cut cuts the node's link: no packet goes to or from it and its pods, while its
// processes go on running. It is not an error if the link is cut already.
func (n *Network) Cut(name string) error { return n.setCable(name, true) }

// Restore restores the link.
func (n *Network) Restore(name string) error { return n.setCable(name, false) }

func (n *Network) setCable(name string, cut bool) error {
	node, err := n.Node(name)
	if err != nil {
		return err
	}
	// Disconnect the port of the switch. If the link were set down, the routes over it
	// would be removed, and packets would be refused ("no route") instead of lost.
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

// Do calls fn on a thread in the node's network namespace, in which fn may start a
// process. The thread is not used again.
func (node *Node) Do(fn func() error) error {
	return onOwnThread(func() error {
		if err := netns.Set(node.namespace); err != nil {
			return fmt.Errorf("enter the network of %s: %w", node.Name, err)
		}
		return fn()
	})
}

// newNamespace makes a namespace that exists only by the returned descriptor.
func newNamespace() (netns.NsHandle, error) {
	handle := netns.None()
	return handle, onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		// These files are those of the calling thread's namespace.
		if err := sysctls(map[string]string{"net/ipv4/ip_forward": "1"}); err != nil {
			return err
		}
		var err error
		handle, err = netns.Get()
		return err
	})
}

// onOwnThread calls fn on a thread that is not used again, so that fn may change its
// namespaces.
func onOwnThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- fn()
	}()
	return <-result
}

// up sets a link up. If address is not the zero prefix, it adds the address before
// that.
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

// nth returns the n-th address after a.
func nth(a netip.Addr, n uint32) netip.Addr {
	b := a.As4()
	binary.BigEndian.PutUint32(b[:], binary.BigEndian.Uint32(b[:])+n)
	return netip.AddrFrom4(b)
}

// ipNet converts p. It keeps the host part of an address, which routes do not have.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), 32)}
}
