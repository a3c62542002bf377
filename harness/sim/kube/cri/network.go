package cri

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A pod is connected as by the ptp plugin and Calico: by a veth pair. The node's end
// has the gateway's address and a route to the pod's address, the pod's end has a
// default route through the gateway. There is no bridge, and no subnet on a link. So
// packets to any address that no running pod has meet the node's blackhole route and
// are lost: a client of a dead pod waits, and is not refused.

// podInterface is the name of the interface in the pod.
const podInterface = "eth0"

// addBlackhole has packets to addresses without a pod dropped. added is false if the
// route existed before; then it must not be removed.
func addBlackhole(network netip.Prefix) (added bool, err error) {
	err = netlink.RouteAdd(blackhole(network))
	if errors.Is(err, unix.EEXIST) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("set the node's blackhole route for %s: %w", network, err)
	}
	return true, nil
}

func removeBlackhole(network netip.Prefix) error {
	if err := netlink.RouteDel(blackhole(network)); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("remove the node's blackhole route for %s: %w", network, err)
	}
	return nil
}

func blackhole(network netip.Prefix) *netlink.Route {
	return &netlink.Route{Dst: ipNet(network.Masked()), Type: unix.RTN_BLACKHOLE}
}

// attachPod connects the pod's network namespace to the node's, in which the calling
// process is. After an error nothing is left.
func attachPod(pod *namespaces, link string, address, gateway netip.Addr) (err error) {
	here, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("talk to the node's network: %w", err)
	}
	defer here.Close()
	there, err := netlink.NewHandleAt(netns.NsHandle(pod.net.Fd()))
	if err != nil {
		return fmt.Errorf("talk to the pod's network: %w", err)
	}
	defer there.Close()

	attrs := netlink.NewLinkAttrs()
	attrs.Name = link
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: podInterface, PeerNamespace: netlink.NsFd(int(pod.net.Fd()))}
	if err := here.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the pod's link: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, detachPod(link))
		}
	}()
	if _, err := linkUp(there, "lo"); err != nil {
		return err
	}
	node, err := linkUp(here, link, gateway)
	if err != nil {
		return err
	}
	eth0, err := linkUp(there, podInterface, address)
	if err != nil {
		return err
	}
	for _, r := range []struct {
		what  string
		in    *netlink.Handle
		route *netlink.Route
	}{
		{"the pod's route to its gateway", there, &netlink.Route{LinkIndex: eth0, Dst: single(gateway), Scope: netlink.SCOPE_LINK}},
		{"the pod's default route", there, &netlink.Route{LinkIndex: eth0, Gw: gateway.AsSlice()}},
		{"the node's route to the pod", here, &netlink.Route{LinkIndex: node, Dst: single(address), Scope: netlink.SCOPE_LINK}},
	} {
		if err := r.in.RouteAdd(r.route); err != nil {
			return fmt.Errorf("set %s: %w", r.what, err)
		}
	}
	return nil
}

// detachPod removes a pod's link. Its other end and the routes go with it. It is not an
// error if there is no link.
func detachPod(link string) error {
	l, err := netlink.LinkByName(link)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(l)
	}
	if err != nil {
		return fmt.Errorf("remove the pod's link %s: %w", link, err)
	}
	return nil
}

// linkUp adds addresses to an interface, sets it up, and returns its index.
func linkUp(h *netlink.Handle, name string, addresses ...netip.Addr) (int, error) {
	l, err := h.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("find the interface %s: %w", name, err)
	}
	for _, a := range addresses {
		if err := h.AddrAdd(l, &netlink.Addr{IPNet: single(a)}); err != nil {
			return 0, fmt.Errorf("give %s the address %s: %w", name, a, err)
		}
	}
	if err := h.LinkSetUp(l); err != nil {
		return 0, fmt.Errorf("start the interface %s: %w", name, err)
	}
	return l.Attrs().Index, nil
}

// single returns the network of one address.
func single(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, a.BitLen())) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
