package endpoint

import (
	"net/netip"
	"strings"
)

// refusedNetworks are networks in which no back end of a cluster lives, but what must not
// be called on someone else's behalf. The first match gives the reason, so single addresses
// come before the networks around them.
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
	{netip.MustParsePrefix("64:ff9b:1::/48"), "address translation"},     // RFC 8215: the operator chooses where the IPv4 address is
	{netip.MustParsePrefix("2001::/32"), "address translation (Teredo)"}, // RFC 4380: holds obfuscated IPv4 addresses
}

// embeddings are the IPv6 networks whose addresses hold an IPv4 address, from the byte at
// on.
var embeddings = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},    // NAT64, RFC 6052
	{netip.MustParsePrefix("::/96"), 12},           // IPv4-compatible, RFC 4291
	{netip.MustParsePrefix("::ffff:0:0:0/96"), 12}, // IPv4-translated, RFC 2765
	{netip.MustParsePrefix("2002::/16"), 2},        // 6to4, RFC 3056
}

// Refusal returns why health checks must not call addr when whoever may annotate a Service
// chose it, such as "loopback"; empty if they may. addr must have no zone, and must not be
// an IPv4 address mapped to IPv6.
func Refusal(addr netip.Addr) string {
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
		if why := Refusal(netip.AddrFrom4([4]byte(b[e.at : e.at+4]))); why != "" {
			return why + ", embedded in an IPv6 address"
		}
	}
	return ""
}

// IsPrivate reports whether a host, a name or an IP address, is the caller's own machine or
// the metadata of its cloud. A name that resolves to such an address is not recognised;
// network policies must prevent such calls.
func IsPrivate(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return Refusal(addr.Unmap().WithZone("")) != ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || host == "metadata" || host == "metadata.google.internal"
}
