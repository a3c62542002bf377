package nameserver

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestServer(t *testing.T) {
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	asked := make(chan string, 10)
	s := Start(t, func(name string) []netip.Addr {
		asked <- name
		if name == "known.example." {
			return want
		}
		return nil
	})
	got, err := s.Resolver().LookupNetIP(t.Context(), "ip", "known.example.")
	if slices.SortFunc(got, netip.Addr.Compare); err != nil || !slices.EqualFunc(got, want, func(a, b netip.Addr) bool { return a.Unmap() == b }) {
		t.Errorf("got %v, %v", got, err)
	}
	_, err = s.Resolver().LookupNetIP(t.Context(), "ip", "unknown.example.")
	if dns, ok := errors.AsType[*net.DNSError](err); !ok || !dns.IsNotFound {
		t.Errorf("an unknown name: %v", err)
	}
	if len(asked) != 2 || <-asked != "known.example." || <-asked != "unknown.example." {
		t.Error("answer was not asked once for each name")
	}
}
