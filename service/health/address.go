package health

import (
	"fmt"
	"net/netip"
	"syscall"
)

// A refusedError says that an address must not be called.
type refusedError struct {
	addr netip.Addr // invalid if the address could not even be parsed
	why  string
}

func (e *refusedError) Error() string {
	if !e.addr.IsValid() {
		return "the address is refused (" + e.why + ")"
	}
	one := netip.PrefixFrom(e.addr, e.addr.BitLen())
	return fmt.Sprintf("address %s is refused (%s); --allow-endpoint-cidrs=%s permits it", e.addr, e.why, one)
}

// refusedNetworks are those that no back end of a cluster lives in, but which
// hold what must not be called on someone else's behalf. The first match names
// the reason, so single addresses come before the networks around them.
var refusedNetworks = []struct {
	prefix netip.Prefix
	why    string
}{
	{netip.MustParsePrefix("169.254.169.254/32"), "cloud metadata"},      // AWS, Azure, Google, OpenStack
	{netip.MustParsePrefix("169.254.170.0/24"), "cloud metadata"},        // AWS: credentials of ECS tasks and EKS pods
	{netip.MustParsePrefix("fd00:ec2::/32"), "cloud metadata"},           // AWS: metadata, pod identity, DNS, NTP
	{netip.MustParsePrefix("fd20:ce::254/128"), "cloud metadata"},        // Google
	{netip.MustParsePrefix("fd00:42::42/128"), "cloud metadata"},         // Scaleway
	{netip.MustParsePrefix("100.100.100.200/32"), "cloud metadata"},      // Alibaba
	{netip.MustParsePrefix("168.63.129.16/32"), "cloud metadata"},        // Azure: wire server
	{netip.MustParsePrefix("192.0.0.192/32"), "cloud metadata"},          // Oracle
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},                  // "this host": Linux connects 0.0.0.0 to itself
	{netip.MustParsePrefix("::/128"), "unspecified"},                     // likewise
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},                   //
	{netip.MustParsePrefix("::1/128"), "loopback"},                       //
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"},              //
	{netip.MustParsePrefix("fe80::/10"), "link-local"},                   //
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},                  //
	{netip.MustParsePrefix("ff00::/8"), "multicast"},                     //
	{netip.MustParsePrefix("255.255.255.255/32"), "broadcast"},           //
	{netip.MustParsePrefix("64:ff9b:1::/48"), "address translation"},     // RFC 8215: where the IPv4 address sits in it is the operator's choice
	{netip.MustParsePrefix("2001::/32"), "address translation (Teredo)"}, // RFC 4380: holds obfuscated IPv4 addresses
}

// embeddings are the IPv6 networks whose addresses stand for an IPv4 address,
// and the byte at which that address starts.
var embeddings = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated, RFC 2765
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
}

// refuse returns why addr must not be called, or nil if it may be: because
// nothing speaks against it, or because a network in allow holds it.
func refuse(addr netip.Addr, allow []netip.Prefix) error {
	// A zone ("%eth0") would make every Prefix.Contains false.
	addr = addr.Unmap().WithZone("")
	for _, p := range allow {
		if p.Contains(addr) {
			return nil
		}
	}
	if why := refusal(addr); why != "" {
		return &refusedError{addr: addr, why: why}
	}
	return nil
}

// refusal names the kind of refused address that addr is; empty if none.
func refusal(addr netip.Addr) string {
	for _, n := range refusedNetworks {
		if n.prefix.Contains(addr) {
			return n.why
		}
	}
	for _, e := range embeddings {
		if !e.prefix.Contains(addr) {
			continue
		}
		b := addr.As16()
		if why := refusal(netip.AddrFrom4([4]byte(b[e.at : e.at+4]))); why != "" {
			return why + ", embedded in an IPv6 address"
		}
	}
	return ""
}

// control is a net.Dialer.Control. The dialer calls it for every address it is
// about to connect to, after name resolution, and connects to exactly that
// address: a name can't resolve to one thing for the check and to another for
// the connection.
func (c *caller) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &refusedError{why: "it is not an IP address and a port"}
	}
	return refuse(ap.Addr(), c.allow)
}

// unmapPrefix turns a network of IPv4-mapped IPv6 addresses into the IPv4
// network it stands for, as refuse does with addresses.
func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.IsValid() && p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}
