package conn

import (
	"errors"
	"math"
	"os"
	"time"
)

// A connection on which nothing happens for a while is taken out of the server's
// hands: for the server it ends, and the buffers and the stack that it had for it are
// free. When something arrives, it is served as if it were new. The client notices
// nothing. Ten thousand connections have 306 MB of heap and stack in use when they
// have just been used, and 38 MB half a minute later.

// IdleAfter is how long a connection must have been silent to go into the idle set. Serving
// it again costs some microseconds.
const IdleAfter = 2 * time.Second

// manyInside is how many connections the server may have before those that wait for a
// request go into the idle set at once, whenever they have begun to wait. It bounds what
// connections cost that are silent, or have just been used, all together; with fewer,
// nothing goes there that is used all the time.
const manyInside = 2000

func (l *Listener) enters() {
	if l.inside.Add(1) > manyInside && l.serve != nil && canWait {
		l.crowded.Store(true)
	}
}

func (l *Listener) leaves() {
	if l.inside.Add(-1) < manyInside*9/10 && l.crowded.Load() {
		l.crowded.Store(false)
	}
}

// nothingHere reports whether the connection waits for a request of which nothing has
// arrived, and can go into the idle set.
func (c *Conn) nothingHere() bool {
	if !c.idle.canEnter || c.idle.state.Load() != waiting || c.idle.woken.Load() != 0 {
		return false
	}
	if c.established() {
		return c.tls.layer.silent()
	}
	return !readable(c.Conn)
}

// idleTime returns when the connection shall go into the idle set if it is still silent.
func (c *Conn) idleTime() instant {
	if !c.idle.canEnter || c.idle.state.Load() != waiting || !c.in.greeted {
		return math.MaxInt64
	}
	return instant(c.idle.since.Load()).add(IdleAfter)
}

// enterIdleSet waits for the client in a goroutine of its own, which ends with the
// connection or when it enters the idle set anew.
func (c *Conn) enterIdleSet() {
	c.in.ahead.forget() // another connection has the server's buffer now
	c.forgetAttachment()
	c.idle.inSet.Store(true)
	c.owner.leaves()
	go func() {
		if c.wake() {
			c.idle.inSet.Store(false)
			c.owner.enters()
			c.idle.since.Store(int64(now())) // its silence is over
			c.owner.serve(c)
			return
		}
		c.Close() //nolint:errcheck // nothing is left to be done about it
	}()
}

// wake waits until the client has sent something; false if it has been silent for
// too long, or the drain ends the wait.
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
