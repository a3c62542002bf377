package conn

import "sync"

// Bodies that are put together for a request, as filtered lists are, are made in
// buffers that go from one request to the next. An HTTP server's own pool may drop those
// that are much larger than most, as that of fasthttp does, so that each such list would
// be allocated anew.
var bodies = sync.Pool{New: func() any { return new([]byte) }}

// maxMade is how many bytes of such bodies there may be on their way to clients. All
// other bodies are shared: only these cost more the more clients there are that don't
// read them.
const maxMade = 64 << 20

// A responseBody is that of the response being made. It belongs to the goroutine that
// serves the connection.
type responseBody struct {
	made    *[]byte // made for this request, to be used again; nil: none
	size    int     // its capacity, once it is the body
	lasting bool    // it need not be copied
}

// TooManyBodies reports whether there should be no further body by BodyBuffer, since so
// many wait for clients that are slow to read.
func (c *Conn) TooManyBodies() bool { return c.owner.made.Load() >= maxMade }

// BodyBuffer returns an empty slice to append the response's body to. It belongs to
// the request until the response has been sent.
func (c *Conn) BodyBuffer() []byte {
	if c.body.made == nil {
		c.body.made = bodies.Get().(*[]byte)
	}
	return (*c.body.made)[:0]
}

// SetBody says that what BodyBuffer has become is the body of the response.
func (c *Conn) SetBody(body []byte) {
	*c.body.made = body
	c.body.size = cap(body)
	c.owner.made.Add(int64(c.body.size))
	c.body.lasting = true
}

// BodyLasts says that the body of the response stays as it is until the response has been
// sent, so that it need not be copied.
func (c *Conn) BodyLasts() { c.body.lasting = true }

func (c *Conn) returnBody() {
	if c.body.made != nil {
		c.owner.made.Add(int64(-c.body.size))
		bodies.Put(c.body.made)
		c.body.made, c.body.size = nil, 0
	}
}
