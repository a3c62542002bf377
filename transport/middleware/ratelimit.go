package middleware

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/internal/boundedcache"
)

// A RateLimit bounds the requests of a single client.
type RateLimit struct {
	PerSecond int // requests per second; 0 for no limit
	Burst     int // requests that may come at once, after a pause; default: PerSecond
}

// limitedClients bounds the number of clients that are remembered. Beyond it, those that
// have been quiet for longest are forgotten, and get a new burst.
const limitedClients = 16384

// A limiter limits the rate of clients by the generic cell rate algorithm (ITU-T I.371),
// which is equivalent to a token bucket. It stores one number per client: the time at
// which the client will have its whole burst again.
type limiter struct {
	start    time.Time
	interval int64 // nanoseconds between two requests at the allowed rate
	depth    int64 // nanoseconds that a whole burst takes at that rate
	clients  *boundedcache.Table[client, atomic.Int64]
}

func newLimiter(r RateLimit) *limiter {
	if r.PerSecond <= 0 {
		return nil
	}
	if r.Burst <= 0 {
		r.Burst = r.PerSecond
	}
	interval := max(int64(time.Second)/int64(r.PerSecond), 1)
	return &limiter{
		start: time.Now(), interval: interval, depth: interval * int64(r.Burst),
		clients: boundedcache.New[client, atomic.Int64](limitedClients),
	}
}

// take counts a request of c and returns 0, or returns the time after which it may be
// sent again.
func (l *limiter) take(c client) (wait time.Duration) {
	full := l.clients.Get(c)
	if full == nil {
		full = l.clients.GetOrPut(c, func() *atomic.Int64 { return new(atomic.Int64) }, (*atomic.Int64).Load)
	}
	now := int64(time.Since(l.start))
	for {
		old := full.Load()
		next := max(old, now) + l.interval
		if next-now > l.depth {
			return time.Duration(next - now - l.depth)
		}
		if full.CompareAndSwap(old, next) {
			return 0
		}
	}
}

// active returns how many clients have not got their whole burst back.
func (l *limiter) active() (n int) {
	now := int64(time.Since(l.start))
	for full := range l.clients.All() {
		if full.Load() > now {
			n++
		}
	}
	return n
}

// A client is a user, or an address if the user is not known.
type client struct {
	user string
	addr [16]byte
}

// clientOf returns the client that a request counts for.
func clientOf(who *auth.Identity, remote net.Addr) client {
	var addr netip.Addr
	if tcp, ok := remote.(*net.TCPAddr); ok && who == nil {
		addr, _ = netip.AddrFromSlice(tcp.IP)
	}
	return clientAt(who, addr)
}

// clientAt returns the client that a request counts for. The first 64 bits of an IPv6 address
// identify a client, since whoever has one such address has all of them (RFC 6177).
func clientAt(who *auth.Identity, addr netip.Addr) (c client) {
	if who != nil {
		return client{user: who.Name}
	}
	if !addr.IsValid() {
		return c
	}
	c.addr = addr.As16()
	if addr.Is6() && !addr.Is4In6() {
		clear(c.addr[8:])
	}
	return c
}
