package conn

import (
	"fmt"
	"time"
)

const (
	// drainTick is how often the drain looks at the connections.
	drainTick = 20 * time.Millisecond
	// hurryTime is the time before its timeout from which on the drain does not wait for
	// pipelined requests.
	hurryTime = 2 * time.Second
)

// Drain closes the listener once its queue is empty, and waits until all connections have
// ended: those with a request when its response is written, idle ones once they have been
// silent for idleGrace. What is left after timeout is cut off; the error says how much
// that was.
//
// The silence of a connection counts from announced, when responses began to announce
// their end, even if it was silent before: a client that keeps connections may send a
// request on one without checking it first, and a request that is sent while the
// connection is being closed is lost. Idle connections get at most half of timeout, so
// that they alone don't make the drain fail.
func (l *Listener) Drain(timeout, idleGrace time.Duration, announced time.Time) error {
	start := time.Now()
	idleGrace = min(idleGrace, timeout/2)
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		l.shut()
	}()
	defer func() { <-shut }()
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for {
		silentSince := now().add(-idleGrace)
		if silentSince < instantOf(announced) {
			silentSince = 0 // wakeIfIdle then wakes nothing, and only notes who is idle
		}
		open := 0
		l.each(func(c *Conn) {
			open++
			if !c.inLoop() {
				c.wakeIfIdle(silentSince)
			}
		})
		l.loops.endIdle(silentSince)
		select {
		case <-shut:
			if open == 0 {
				l.loops.stop()
				return nil
			}
		default:
		}
		spent := time.Since(start)
		if spent >= timeout {
			return l.cut()
		}
		l.hurry.Store(timeout-spent <= hurryTime)
		<-tick.C
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// wakeIfIdle ends the wait of a connection that has been idle since t or longer. With 0
// it only notes that the connection is idle.
func (c *Conn) wakeIfIdle(t instant) {
	if c.idle.state.Load() != waiting || c.idle.since.CompareAndSwap(0, int64(now())) {
		return
	}
	if c.idle.since.Load() <= int64(t) {
		c.idle.woken.Store(int64(t))
		c.SetReadDeadline(past) //nolint:errcheck // a closed connection needs no waking
	}
}

// cut closes the connections that are still open, and returns an error with their number.
func (l *Listener) cut() error {
	open, inFlight := l.Count()
	if open == 0 {
		l.loops.stop()
		return nil
	}
	l.loops.stop() // before the others: a loop gives connections to the server
	var left []*Conn
	l.each(func(c *Conn) { left = append(left, c) })
	for _, c := range left {
		c.abort()
	}
	return fmt.Errorf("cut %d connections with %d requests in flight", open, inFlight)
}
