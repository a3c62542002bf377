package middleware

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/auth"
	"kubernaut.io/dynamic-toolset/internal/boundedcache"
)

// A RateLimit bounds how often a single client may ask.
type RateLimit struct {
	PerSecond int // requests; 0 for no limit
	Burst     int // requests that may come at once, after a pause; default PerSecond
}

// limitedClients bounds the clients that are told apart at a time. Beyond it,
// those that have been quiet for longest are forgotten, and may have their burst
// anew.
const limitedClients = 16384

// A limiter holds clients to a rate by the generic cell rate algorithm (ITU-T
// I.371, the token bucket by another account): what is kept of a client is one
// number, the time at which it will have used up nothing of its burst.
type limiter struct {
	start    time.Time
	interval int64 // nanoseconds that one request takes of the rate
	depth    int64 // and a whole burst
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

// take counts a request of c, or returns after what time it may be sent again.
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

// active counts the clients that have not yet got their whole burst back.
func (l *limiter) active() (n int) {
	now := int64(time.Since(l.start))
	for full := range l.clients.All() {
		if full.Load() > now {
			n++
		}
	}
	return n
}

// A client is whom a limit is for: a user, or an address where none is known.
type client struct {
	user string
	addr [16]byte
}

// clientOf returns whom a request counts for. Of an IPv6 address the first 64
// bits are the client: whoever has one, has them all (RFC 6177).
func clientOf(who *auth.Identity, remote net.Addr) (c client) {
	if who != nil {
		return client{user: who.Name}
	}
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return c
	}
	addr, _ := netip.AddrFromSlice(tcp.IP)
	c.addr = addr.As16()
	if addr.Is6() && !addr.Is4In6() {
		clear(c.addr[8:])
	}
	return c
}
