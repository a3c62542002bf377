// Package ports hands out the source ports of connections, none a second time before it
// has rested.
//
// The nodes of a cluster remember for up to two minutes to which pod they have sent a
// connection of a Service. A connection from the same address and port to the same
// Service is sent to the same pod, even if that is gone by then. The kernel takes ports
// again much earlier, and a client would lose requests that no rolling update has lost.
package ports

import (
	"math/rand/v2"
	"sync"
	"time"
)

// A Pool may be used by several goroutines.
type Pool struct {
	mu    sync.Mutex
	queue []port // a ring: the port at next has rested longest
	next  int
	free  int
	now   func() time.Time
}

type port struct {
	number uint16
	used   time.Time // when it was last given back; zero if never
}

// New returns a pool of the ports from first to last. The first one that is taken is any
// of them, since another process with this address may have been here before.
func New(first, last uint16) *Pool {
	n := int(last) - int(first) + 1
	p := &Pool{queue: make([]port, n), free: n, now: time.Now}
	begin := rand.IntN(n) //nolint:gosec // no secret
	for i := range p.queue {
		p.queue[i].number = first + uint16((begin+i)%n) // #nosec G115 -- at most last
	}
	return p
}

// Take returns the port that has rested longest. It returns false if none has rested for
// so long.
func (p *Pool) Take(rest time.Duration) (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free == 0 {
		return 0, false
	}
	first := p.queue[p.next]
	if !first.used.IsZero() && p.now().Sub(first.used) < rest {
		return 0, false
	}
	p.next = (p.next + 1) % len(p.queue)
	p.free--
	return first.number, true
}

// Release gives back a port that was taken, and that no connection uses any more.
func (p *Pool) Release(number uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue[(p.next+p.free)%len(p.queue)] = port{number, p.now()}
	p.free++
}

// Size returns the number of ports.
func (p *Pool) Size() int { return len(p.queue) }
