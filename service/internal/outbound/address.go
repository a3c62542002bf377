package outbound

import (
	"fmt"
	"net/netip"
	"syscall"

	addresses "kubernaut.io/dynamic-toolset/service/endpoint"
)

// A refusedError means that an address must not be called.
type refusedError struct {
	addr netip.Addr // invalid if the address could not be parsed
	why  string
}

func (e *refusedError) Error() string {
	if !e.addr.IsValid() {
		return "the address is refused (" + e.why + ")"
	}
	one := netip.PrefixFrom(e.addr, e.addr.BitLen())
	return fmt.Sprintf("address %s is refused (%s); --allow-endpoint-cidrs=%s permits it", e.addr, e.why, one)
}

// refuse returns why addr must not be called; nil if it may be, since nothing is against
// it, or a network in allow contains it.
func refuse(addr netip.Addr, allow []netip.Prefix) error {
	// A zone ("%eth0") would make every Prefix.Contains false.
	addr = addr.Unmap().WithZone("")
	for _, p := range allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if why := addresses.Refusal(addr); why != "" {
		return &refusedError{addr: addr, why: why}
	}
	return nil
}

// control is a net.Dialer.Control. The dialer calls it for each address after name
// resolution, just before it connects to that very address. So a name can't resolve to one
// address for the check and to another for the connection.
func (d *Dialer) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedError{why: "it is not an IP address and a port"}
	}
	return refuse(ap.Addr(), d.allow)
}

// unmapPrefix returns the IPv4 network for a network of IPv4-mapped IPv6 addresses, as
// refuse does with addresses; p itself for others.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.IsValid() && p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
