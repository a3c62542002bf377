package outbound

import (
	"net/netip"
	"strings"
	"testing"
)

func TestRefusedAddresses(t *testing.T) {
	for _, tt := range []struct{ addr, why string }{
		{"127.0.0.1", "loopback"},
		{"127.255.255.254", "loopback"},
		{"::1", "loopback"},
		{"::ffff:127.0.0.1", "loopback"},
		{"::127.0.0.1", "loopback, embedded"},
		{"::ffff:0:127.0.0.1", "loopback, embedded"},
		{"64:ff9b::127.0.0.1", "loopback, embedded"},
		{"2002:7f00:1::1", "loopback, embedded"},
		{"0.0.0.0", "unspecified"},
		{"0.1.2.3", "unspecified"},
		{"::", "unspecified"},
		{"::ffff:0.0.0.0", "unspecified"},
		{"64:ff9b::", "unspecified, embedded"},
		{"169.254.0.1", "link-local"},
		{"fe80::1", "link-local"},
		{"fe80::1%eth0", "link-local"},
		{"febf:ffff::1", "link-local"},
		{"::ffff:169.254.1.1", "link-local"},
		{"224.0.0.1", "multicast"},
		{"239.255.255.255", "multicast"},
		{"ff02::1", "multicast"},
		{"ff02::1%eth0", "multicast"},
		{"255.255.255.255", "broadcast"},
		{"169.254.169.254", "cloud metadata"},
		{"::ffff:169.254.169.254", "cloud metadata"},
		{"64:ff9b::169.254.169.254", "cloud metadata, embedded"},
		{"64:ff9b::a9fe:a9fe", "cloud metadata, embedded"},
		{"2002:a9fe:a9fe::", "cloud metadata, embedded"},
		{"169.254.170.2", "cloud metadata"},
		{"169.254.170.23", "cloud metadata"},
		{"fd00:ec2::254", "cloud metadata"},
		{"fd00:ec2::254%eth0", "cloud metadata"},
		{"fd00:ec2::23", "cloud metadata"},
		{"fd20:ce::254", "cloud metadata"},
		{"fd00:42::42", "cloud metadata"},
		{"100.100.100.200", "cloud metadata"},
		{"64:ff9b::100.100.100.200", "cloud metadata, embedded"},
		{"168.63.129.16", "cloud metadata"},
		{"192.0.0.192", "cloud metadata"},
		{"64:ff9b:1::1", "address translation"},
		{"2001::1", "address translation"},
	} {
		err := refuse(netip.MustParseAddr(tt.addr), nil)
		if err == nil {
			t.Errorf("%s is not refused, want refused as %s", tt.addr, tt.why)
			continue
		}
		if !strings.Contains(err.Error(), "("+tt.why) || !strings.Contains(err.Error(), "--allow-endpoint-cidrs=") {
			t.Errorf("%s: %q does not name %q and the flag", tt.addr, err, tt.why)
		}
	}
}

func TestAddressesThatMayBeCalled(t *testing.T) {
	for _, addr := range []string{
		"10.96.0.10", "172.16.1.1", "192.168.1.1", "100.64.0.1", "100.100.100.201", // where Services are
		"93.184.216.34", "168.63.129.17", "::ffff:10.0.0.1", "240.0.0.1", // some clusters use 240/4 for pods
		"fd00::1", "fd12:3456::1", "2600:1f18::1", "fec0::1", "64:ff9b::10.0.0.1", "2002:a00:1::", "2001:db8::1",
	} {
		if err := refuse(netip.MustParseAddr(addr), nil); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestAllowedNetworks(t *testing.T) {
	d := NewDialer([]netip.Prefix{
		netip.MustParsePrefix("127.0.0.2/32"),
		netip.MustParsePrefix("::ffff:169.254.20.0/120"), // an IPv4-mapped network is the IPv4 network
		netip.MustParsePrefix("fe80::/64"),
	}, nil)
	for addr, allowed := range map[string]bool{
		"127.0.0.2":           true,
		"::ffff:127.0.0.2":    true,
		"127.0.0.1":           false,
		"127.0.0.3":           false,
		"64:ff9b::127.0.0.2":  false, // a permitted address does not permit others that embed it
		"169.254.20.10":       true,
		"169.254.21.10":       false,
		"fe80::1%eth0":        true,
		"fe80:0:0:1::1":       false,
		"169.254.169.254":     false,
		"::ffff:169.254.20.1": true,
	} {
		if err := refuse(netip.MustParseAddr(addr), d.allow); (err == nil) != allowed {
			t.Errorf("%s: got %v, want allowed = %v", addr, err, allowed)
		}
	}
}

func TestRefusalNamesWhatPermitsIt(t *testing.T) {
	got := refuse(netip.MustParseAddr("::ffff:127.0.0.1"), nil).Error()
	want := "address 127.0.0.1 is refused (loopback); --allow-endpoint-cidrs=127.0.0.1/32 permits it"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
