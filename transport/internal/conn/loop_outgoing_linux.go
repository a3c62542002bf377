package conn

import (
	"net"

	"golang.org/x/sys/unix"
)

// An outgoing is what is left to be sent: bytes, and a body behind them.
type outgoing struct {
	bytes []byte
	body  Pieces // nil for none
	at    int    // the piece of the body that is next
	sent  int    // bytes of it that were sent
}

// pieces appends to to what is to be sent next, up to the capacity of to. It appends nothing
// if nothing is left.
func (o *outgoing) pieces(to net.Buffers) net.Buffers {
	if len(o.bytes) > 0 {
		to = append(to, o.bytes)
	}
	if o.body == nil {
		return to
	}
	for i, skip := o.at, o.sent; len(to) < cap(to); i, skip = i+1, 0 {
		p := o.body.Piece(i)
		if p == nil {
			break
		}
		if p = p[skip:]; len(p) > 0 {
			to = append(to, p)
		}
	}
	return to
}

// advance notes that n bytes were sent.
func (o *outgoing) advance(n int) {
	k := min(n, len(o.bytes))
	o.bytes = o.bytes[k:]
	for n -= k; n > 0; o.at, o.sent = o.at+1, 0 {
		left := len(o.body.Piece(o.at)) - o.sent
		if n < left {
			o.sent += n
			return
		}
		n -= left
	}
}

// sendWithBody sends the responses that were collected and the body behind them, as send does.
func (e *loop) sendWithBody(c *Conn, unanswered []byte, end bool) bool {
	o := outgoing{bytes: e.responses, body: c.body.pieces}
	e.responses, c.body.pieces = e.responses[:0], nil
	for {
		pieces := o.pieces(e.pieces[:0])
		if len(pieces) == 0 {
			return true
		}
		vectors := appendVectors(e.vectors[:0], pieces)
		n, errno := writevRaw(uintptr(c.socket.fd), vectors) // #nosec G115 -- a file descriptor
		clear(vectors)                                       // they would keep the memory of a snapshot
		clear(pieces)
		switch errno {
		case 0:
			o.advance(n)
		case unix.EINTR:
		case unix.EAGAIN:
			e.handOver(c, unanswered, o, end)
			return false
		default:
			e.close(c)
			return false
		}
	}
}

func appendVectors(to []unix.Iovec, pieces net.Buffers) []unix.Iovec {
	for _, p := range pieces {
		if len(p) > 0 {
			v := unix.Iovec{Base: &p[0]}
			v.SetLen(len(p))
			to = append(to, v)
		}
	}
	return to
}

// sendRest sends what a loop could not send.
func (c *Conn) sendRest(o *outgoing) error {
	if size := int64(len(o.bytes)); size > 0 {
		c.owner.made.Add(size)
		defer c.owner.made.Add(-size)
	}
	for {
		pieces := o.pieces(make(net.Buffers, 0, batchPieces))
		n := 0
		for _, p := range pieces {
			n += len(p)
		}
		if n == 0 {
			return nil
		}
		if err := c.sendAll(&pieces); err != nil {
			return err
		}
		o.advance(n)
	}
}
