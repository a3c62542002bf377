package cri

import (
	"fmt"
	"net/netip"
)

// addressPool has the addresses of the node's pods. It takes them in turn, so that a
// freed address is reused as late as possible: a client that does not know that its pod
// is gone should not reach another one. Server.mu guards it.
type addressPool struct {
	gateway     netip.Addr // the network's first address, at the node's end of each pod's link
	first, last netip.Addr
	next        netip.Addr
	used        map[netip.Addr]bool
}

// newAddressPool returns the pool of an IPv4 prefix of at most 29 bits. The network,
// gateway and broadcast addresses are not in it.
func newAddressPool(network netip.Prefix) addressPool {
	gateway := network.Masked().Addr().Next()
	b := network.Masked().Addr().As4()
	size := uint32(1) << (32 - network.Bits())
	n := (uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])) + size - 2
	last := netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return addressPool{
		gateway: gateway, first: gateway.Next(), last: last, next: gateway.Next(),
		used: map[netip.Addr]bool{},
	}
}

func (p *addressPool) take() (netip.Addr, error) {
	for start := p.next; ; {
		a := p.next
		if p.next = a.Next(); a == p.last {
			p.next = p.first
		}
		if !p.used[a] {
			p.used[a] = true
			return a, nil
		}
		if p.next == start {
			return netip.Addr{}, fmt.Errorf("all %d pod addresses of this node (%s to %s) are in use: delete pods or add nodes", len(p.used), p.first, p.last)
		}
	}
}

// free returns an address to the pool.
func (p *addressPool) free(a netip.Addr) { delete(p.used, a) }
