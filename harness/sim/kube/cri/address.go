package cri

import (
	"fmt"
	"net/netip"
)

// addressPool gives out the addresses of the node's pods. It goes round: a freed
// address comes last, so that a client that still believes in a dead pod does not
// reach another one. Server.mu guards it.
type addressPool struct {
	gateway     netip.Addr // the network's first address, on the node's side of each pod's link
	first, last netip.Addr
	next        netip.Addr
	used        map[netip.Addr]bool
}

// newAddressPool takes an IPv4 prefix of at most 29 bits; its network, gateway
// and broadcast addresses are not given out.
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

// take returns a free address.
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

// free gives an address back.
func (p *addressPool) free(a netip.Addr) { delete(p.used, a) }
