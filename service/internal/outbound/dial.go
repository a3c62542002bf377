// Package outbound makes connections to back ends for those who call them, health checks
// and questions of identity, and says why one could not be made.
//
// Whoever may annotate a Service can make this service call any address from inside the
// cluster. So each address is checked after name resolution, just before the connection is
// made (address.go). Connections ignore the environment variables for proxies, send no
// credentials, and follow no redirects. No text quotes what the other side has sent.
package outbound

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"
)

// A Dialer makes connections. It may be used concurrently.
type Dialer struct {
	allow  []netip.Prefix
	dialer net.Dialer
}

// NewDialer returns a Dialer that may call the networks in allow, although they are refused
// by default. With a nil resolver it uses Go's own with the system's configuration.
func NewDialer(allow []netip.Prefix, resolver *net.Resolver) *Dialer {
	d := &Dialer{allow: make([]netip.Prefix, len(allow))}
	for i, p := range allow {
		d.allow[i] = unmapPrefix(p)
	}
	if resolver == nil {
		// Not that of the C library, which blocks a thread for each lookup and can't be
		// interrupted.
		resolver = &net.Resolver{PreferGo: true}
	}
	d.dialer = net.Dialer{Resolver: resolver, Control: d.control}
	d.dialer.SetMultipathTCP(false) // no use for one small request
	return d
}

// Dial connects to a host and port, unless the address is refused.
func (d *Dialer) Dial(ctx context.Context, host, port string) (raw net.Conn, err error) {
	for _, name := range names(host) {
		raw, err = d.dialer.DialContext(ctx, "tcp", net.JoinHostPort(name, port))
		var dns *net.DNSError
		if !errors.As(err, &dns) || !dns.IsNotFound {
			break
		}
	}
	return raw, err
}

// Open connects to a host and port for HTTP/1.1, with TLS unless config is nil. The
// certificate must be valid for host.
func (d *Dialer) Open(ctx context.Context, host, port string, config *tls.Config) (*Conn, error) {
	raw, err := d.Dial(ctx, host, port)
	if err != nil {
		return nil, err
	}
	c := &Conn{raw: raw, rw: raw, Born: time.Now()}
	if config != nil {
		config = config.Clone()
		config.ServerName = host
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, errors.Join(ErrHandshake, err)
		}
		c.rw = secure
	}
	c.limit = &io.LimitedReader{R: c.rw}
	c.in = bufio.NewReaderSize(c.limit, 1024)
	return c, nil
}

// names returns the forms of a host to look up in this order, until one exists.
//
// A full name is first looked up with a dot at its end, which makes the resolver ignore the
// search domains of resolv.conf. In a pod, these are tried first for any name with fewer
// than five dots, so that the lookup of a Service's full name would become ten.
func names(host string) []string {
	if _, err := netip.ParseAddr(host); err == nil || strings.HasSuffix(host, ".") || strings.Count(host, ".") < 3 {
		return []string{host}
	}
	return []string{host + ".", host}
}
