package conn

import "sync"

// Bodies that are made for one request, such as filtered lists, are made in buffers that
// are used again. fasthttp has a pool of buffers too, but drops those that are much
// larger than most, so that each such list would be allocated again.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxMade bounds the bytes of such bodies that are on their way to clients. All other
// bodies are shared. Only these take more memory when more clients are slow to read them.
const maxMade = 64 << 20

// A responseBody describes the body of the current response. It belongs to the goroutine
// that serves the connection.
type responseBody struct {
	made    *[]byte // a buffer to be used again; nil if there is none
	size    int     // its capacity, once it is the body
	lasting bool    // it stays unchanged, so it need not be copied
	// pieces are the body of the response that an Answer has appended last, unless it has
	// appended that too.
	pieces Pieces
}

// Pieces are a body that is sent from where it is, without a copy. Piece returns the i-th
// piece, and nil after the last. No piece may change.
type Pieces = interface{ Piece(i int) []byte }

// AppendPieces declares that an Answer has appended a response up to its body, which is p.
func (c *Conn) AppendPieces(p Pieces) { c.body.pieces = p }

// TooManyBodies reports whether BodyBuffer should not be called, since too many such
// bodies wait for slow clients.
func (c *Conn) TooManyBodies() bool { return c.owner.made.Load() >= maxMade }

// BodyBuffer returns an empty slice to append the body of a response to. The slice may be
// used until the response has been sent.
func (c *Conn) BodyBuffer() []byte {
	if c.body.made == nil {
		c.body.made = bodies.Get().(*[]byte)
	}
	return (*c.body.made)[:0]
}

// SetBody declares that body, a slice from BodyBuffer that was appended to, is the body
// of the response.
func (c *Conn) SetBody(body []byte) {
	*c.body.made = body
	c.body.size = cap(body)
	c.owner.made.Add(int64(c.body.size))
	c.body.lasting = true
}

// BodyLasts declares that the body of the response stays unchanged until the response has
// been sent, so that it need not be copied.
func (c *Conn) BodyLasts() { c.body.lasting = true }

func (c *Conn) returnBody() {
	if c.body.made != nil {
		c.owner.made.Add(int64(-c.body.size))
		bodies.Put(c.body.made)
		c.body.made, c.body.size = nil, 0
	}
}
