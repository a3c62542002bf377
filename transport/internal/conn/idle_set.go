package conn

import (
	"errors"
	"math"
	"os"
	"time"
)

// A connection that has been idle for a while is put into the idle set. For the server it
// has ended, so its buffers and stack are free. When something arrives, the server gets
// it again as if it were new; the client notices nothing. Ten thousand connections that
// have just been used take 306 MB of heap and stack, and half a minute later 38 MB.

// IdleAfter is how long a connection must have been silent before it goes into the idle
// set. To serve it again costs a few microseconds.
const IdleAfter = 2 * time.Second

// manyServed is how many connections the server may have outside the idle set before
// those that become idle go there at once. It bounds the memory for connections that are
// silent or have just been used. With fewer connections, those in constant use never go
// there.
const manyServed = 2000

// takeUp counts a connection that the server gets.
func (l *Listener) takeUp() {
	if l.served.Add(1) > manyServed && l.serve != nil && canWait {
		l.crowded.Store(true)
	}
}

// putAside counts a connection that the server has no longer: it is closed, or in the idle set.
func (l *Listener) putAside() {
	if l.served.Add(-1) < manyServed*9/10 && l.crowded.Load() {
		l.crowded.Store(false)
	}
}

// nothingHere reports whether the connection is idle and nothing of a request has
// arrived, so that it may go into the idle set.
func (c *Conn) nothingHere() bool {
	if !c.idle.canEnter || c.idle.state.Load() != waiting || c.idle.woken.Load() != 0 || len(c.in.early) > 0 {
		return false
	}
	if c.established() {
		return c.tls.layer.silent()
	}
	return !readable(c.Conn)
}

// idleTime returns when the connection goes into the idle set if it stays silent.
func (c *Conn) idleTime() instant {
	if !c.idle.canEnter || c.idle.state.Load() != waiting || !c.in.greeted {
		return math.MaxInt64
	}
	return instant(c.idle.since.Load()).add(IdleAfter)
}

// enterIdleSet gives the connection to an event loop. If there is none, it waits for the
// client in a goroutine of its own, which ends with the connection or when the connection
// enters the idle set again.
func (c *Conn) enterIdleSet() {
	c.in.ahead.forget() // the server's buffer is for another connection now
	c.forgetAttachment()
	c.out.rests = 0
	c.idle.inSet.Store(true)
	c.owner.putAside()
	if c.owner.loops != nil && c.enterLoop() {
		return
	}
	go func() {
		if c.wake() {
			c.idle.inSet.Store(false)
			c.owner.takeUp()
			c.idle.since.Store(int64(now())) // it is no longer silent
			c.owner.serve(c)
			return
		}
		c.Close() //nolint:errcheck // nothing is left to be done about it
	}()
}

// wake waits until the client sends something. It returns false if the client has been
// silent for too long, or if the drain ends the wait.
func (c *Conn) wake() bool {
	for {
		c.armRead(c.readLimit())
		if c.idle.woken.Load() == 0 {
			err := waitReadable(c.Conn)
			if err == nil {
				return true
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				return false
			}
		}
		c.in.armed = 0
		if c.idleAsWoken() || now() >= c.readLimit() {
			if readable(c.Conn) {
				return true
			}
			c.sayEnd()
			return false
		}
	}
}
