package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Request is sent on a stream of its own.
type Request struct {
	Method, Scheme, Authority, Path string
	Header                          map[string]string
	Body                            string
	// Over is how long the body takes: it is sent in pieces. 0: at once.
	Over time.Duration
}

// A Response is what the server answers.
type Response struct {
	Status int
	Header http.Header
	// Body ends with io.EOF only if the response was complete. Close gives the rest up.
	Body io.ReadCloser
}

// A LostError says that the connection ended before the response did.
type LostError struct {
	Err error // that of the connection
	// GoAway had been received before, and promised that the request would be processed.
	// nil: there was none.
	GoAway *GoAway
	// Malformed: the connection did not end; what the server sent is not HTTP/2.
	Malformed bool
}

func (e *LostError) Error() string {
	if e.GoAway != nil {
		return fmt.Sprintf("%v, after %v, which covered this stream", e.Err, e.GoAway)
	}
	if e.Malformed {
		return e.Err.Error()
	}
	return fmt.Sprintf("%v, without GOAWAY", e.Err)
}

func (e *LostError) Unwrap() error { return e.Err }

// A ResetError says that the server ended the stream by RST_STREAM.
type ResetError struct{ Code http2.ErrCode }

func (e *ResetError) Error() string { return fmt.Sprintf("RST_STREAM %v", e.Code) }

// A stream carries a request and its response.
type stream struct {
	id   uint32
	conn *Conn

	sendWindow int64 // conn.mu

	mu       sync.Mutex
	response *Response
	body     bytes.Buffer // that has not been read
	err      error        // io.EOF after a complete response
	news     chan struct{}
}

// Do sends a request, and returns when the header of the response has arrived. The
// context bounds the whole exchange, with the reading of the body.
func (c *Conn) Do(ctx context.Context, r *Request) (*Response, error) {
	s, err := c.open(ctx, r)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { s.cancel(context.Cause(ctx)) })
	if r.Body != "" {
		s.send(ctx, r.Body, r.Over)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.response == nil && s.err == nil {
		s.wait()
	}
	if s.response == nil {
		stop()
		return nil, s.err
	}
	s.response.Body = &body{s, stop}
	return s.response, nil
}

// open sends the header, when the server allows one more stream.
func (c *Conn) open(ctx context.Context, r *Request) (*stream, error) {
	defer context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changed.Broadcast()
	})()
	for {
		c.mu.Lock()
		for c.usable() && ctx.Err() == nil && uint32(len(c.streams)) >= c.maxStreams { // #nosec G115 -- a small number
			c.changed.Wait()
		}
		c.mu.Unlock()
		s, err := c.start(ctx, r)
		if s != nil || err != nil {
			return s, err
		}
	}
}

// start sends the header; the result is nil if another request was quicker. Identifiers
// must rise in the order in which they are sent.
func (c *Conn) start(ctx context.Context, r *Request) (*stream, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	switch {
	case ctx.Err() != nil:
		c.mu.Unlock()
		return nil, context.Cause(ctx)
	case !c.usable():
		defer c.mu.Unlock()
		return nil, c.whyUnusable()
	case uint32(len(c.streams)) >= c.maxStreams: // #nosec G115 -- a small number
		c.mu.Unlock()
		return nil, nil
	}
	s := &stream{id: c.next, conn: c, sendWindow: c.initial, news: make(chan struct{}, 1)}
	c.streams[s.id] = s
	c.next += 2
	c.mu.Unlock()
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{
		StreamID: s.id, BlockFragment: c.encode(r), EndStream: r.Body == "", EndHeaders: true,
	})
	if err != nil {
		// The reader finds out how the connection ended, which is more exact.
		c.mourn(err)
	}
	return s, nil
}

// whyUnusable returns ErrUnusable, or what makes every connection to this server
// unusable.
func (c *Conn) whyUnusable() error {
	var other *NotHTTP2Error
	if errors.As(c.err, &other) {
		return &LostError{Err: other, Malformed: true}
	}
	return ErrUnusable
}

// encode returns the header block of a request.
func (c *Conn) encode(r *Request) []byte {
	c.encoded.Reset()
	field := func(name, value string) {
		_ = c.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // to memory
	}
	field(":method", r.Method)
	field(":scheme", r.Scheme)
	field(":authority", r.Authority)
	field(":path", r.Path)
	for name, value := range r.Header {
		field(strings.ToLower(name), value)
	}
	if r.Body != "" {
		field("content-length", strconv.Itoa(len(r.Body)))
	}
	return c.encoded.Bytes()
}

// pieceEvery is the time between two pieces of a slow body.
const pieceEvery = 250 * time.Millisecond

// send sends the body, as fast as the server's windows allow, or evenly over some time.
// It stops when the stream is over.
func (s *stream) send(ctx context.Context, text string, over time.Duration) {
	pieces := min(len(text), max(1, int(over/pieceEvery)))
	begin := time.Now()
	for i := range pieces {
		if over > 0 {
			timer := time.NewTimer(time.Until(begin.Add(over * time.Duration(i+1) / time.Duration(pieces))))
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
		}
		piece := text[len(text)*i/pieces : len(text)*(i+1)/pieces]
		for piece != "" {
			n, ok := s.reserve(ctx, len(piece))
			if !ok {
				// The server has answered without waiting for all of it.
				_ = s.conn.write(func() error { return s.conn.framer.WriteRSTStream(s.id, http2.ErrCodeCancel) })
				return
			}
			end := n == len(piece) && i == pieces-1
			if err := s.conn.write(func() error { return s.conn.framer.WriteData(s.id, end, []byte(piece[:n])) }); err != nil {
				s.conn.mourn(err)
				return
			}
			piece = piece[n:]
		}
	}
}

// reserve waits until the windows allow at least a byte, and takes up to want. It
// returns false if the stream is over, or its response is there.
func (s *stream) reserve(ctx context.Context, want int) (int, bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.streams[s.id] != s || ctx.Err() != nil {
			return 0, false
		}
		if n := min(int64(want), s.sendWindow, c.sendWindow, int64(c.maxFrame)); n > 0 {
			s.sendWindow -= n
			c.sendWindow -= n
			return int(n), true
		}
		c.changed.Wait()
	}
}

// wait waits for news; mu must be held.
func (s *stream) wait() {
	s.mu.Unlock()
	<-s.news
	s.mu.Lock()
}

// tell wakes the one that waits; mu must be held.
func (s *stream) tell() {
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// header takes a header or trailer.
func (s *stream) header(f *http2.MetaHeadersFrame) error {
	status, err := strconv.Atoi(f.PseudoValue("status"))
	s.mu.Lock()
	switch {
	case s.response != nil: // a trailer
	case err != nil || status < 100 || status > 999:
		s.mu.Unlock()
		s.conn.finish(f.StreamID, &LostError{Err: fmt.Errorf("its status is %q", f.PseudoValue("status")), Malformed: true})
		return nil
	case status/100 == 1:
		s.mu.Unlock()
		return nil
	default:
		s.response = &Response{Status: status, Header: http.Header{}}
		for _, field := range f.RegularFields() {
			s.response.Header.Add(field.Name, field.Value)
		}
	}
	s.tell()
	s.mu.Unlock()
	if f.StreamEnded() {
		s.end(io.EOF)
		s.conn.forget(s)
	}
	return nil
}

// take takes a part of the body.
func (s *stream) take(data []byte, last bool) {
	s.mu.Lock()
	if s.err == nil {
		s.body.Write(data)
	}
	if s.body.Len() > window {
		s.err = &LostError{Err: errors.New("the server sends more than the window of the stream allows"), Malformed: true}
	}
	s.tell()
	s.mu.Unlock()
	if last {
		s.end(io.EOF)
		s.conn.forget(s)
	}
}

// end ends the stream. Only the first end counts.
func (s *stream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	s.tell()
}

// cancel gives the stream up.
func (s *stream) cancel(cause error) {
	s.mu.Lock()
	over := s.err != nil
	s.mu.Unlock()
	s.end(cause)
	if !over {
		_ = s.conn.write(func() error { return s.conn.framer.WriteRSTStream(s.id, http2.ErrCodeCancel) }) // the stream is over for us
	}
	s.conn.forget(s)
}

// body is the body of a response.
type body struct {
	*stream
	stop func() bool
}

func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	for b.body.Len() == 0 && b.err == nil {
		b.wait()
	}
	if b.body.Len() == 0 {
		defer b.mu.Unlock()
		return 0, b.err
	}
	n, _ := b.body.Read(p) // from memory
	over := b.err != nil
	b.mu.Unlock()
	if n > 0 && !over {
		_ = b.conn.write(func() error { return b.conn.framer.WriteWindowUpdate(b.id, uint32(n)) }) // #nosec G115 -- at most the window; a connection that is over says so itself
	}
	return n, nil
}

func (b *body) Close() error {
	b.stop()
	b.cancel(errClosed)
	return nil
}
