package h2

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// window is how many bytes of responses may be on their way, in each stream and in the
	// connection; it bounds what is buffered.
	window = 1 << 20
	// maxHeaderList bounds the header of a response.
	maxHeaderList = 64 << 10
	// defaultWindow and defaultMaxStreams hold until the server says otherwise; the latter
	// is what clients assume.
	defaultWindow     = 65535
	defaultMaxStreams = 100
	// writeTimeout bounds each write.
	writeTimeout = 10 * time.Second
)

var (
	// ErrUnprocessed says that the server did not process the request and will not.
	ErrUnprocessed = errors.New("not processed by the server")
	// ErrUnusable says that nothing was sent: the connection takes no more requests.
	ErrUnusable = errors.New("the connection takes no more requests")
	errClosed   = errors.New("closed by this client")
)

// A Conn is a client's connection.
type Conn struct {
	conn   net.Conn
	reader sync.WaitGroup // the goroutine that reads

	// writing guards the framer's writing side and the encoder. It is locked before mu,
	// where both are needed.
	writing sync.Mutex
	framer  *http2.Framer
	encoder *hpack.Encoder
	encoded bytes.Buffer

	mu         sync.Mutex
	changed    *sync.Cond // of the fields below
	streams    map[uint32]*stream
	next       uint32
	maxStreams uint32
	sendWindow int64
	initial    int64 // window of a new stream, for what is sent
	maxFrame   int
	goAway     *GoAway
	retired    bool
	sendErr    error // of the first write that failed
	err        error // why the connection is over
}

// A GoAway is what the server said about the end of a connection.
type GoAway struct {
	Last  uint32 // streams above it are not processed
	Code  http2.ErrCode
	Debug string
}

func (g *GoAway) String() string {
	text := fmt.Sprintf("GOAWAY %v, last stream %d", g.Code, g.Last)
	if g.Debug != "" {
		text += fmt.Sprintf(", %q", g.Debug)
	}
	return text
}

// New begins HTTP/2 on a connection. What goes wrong shows with the first request.
func New(conn net.Conn) *Conn {
	c := &Conn{
		conn: conn, streams: map[uint32]*stream{}, next: 1,
		maxStreams: defaultMaxStreams, sendWindow: defaultWindow, initial: defaultWindow, maxFrame: 16384,
	}
	c.changed = sync.NewCond(&c.mu)
	c.encoder = hpack.NewEncoder(&c.encoded)
	c.encoder.SetMaxDynamicTableSizeLimit(0)
	in := bufio.NewReader(conn)
	c.framer = http2.NewFramer(deadlineWriter{conn}, in)
	c.framer.SetMaxReadFrameSize(16384)
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.framer.MaxHeaderListSize = maxHeaderList
	err := c.begin()
	c.reader.Go(func() {
		if err == nil {
			err = recognise(in)
		}
		for err == nil {
			err = c.readFrame()
		}
		c.mu.Lock()
		// A write that fails takes a reset from the socket, and the reader finds EOF.
		if c.sendErr != nil && (errors.Is(err, os.ErrDeadlineExceeded) || err == io.EOF) {
			err = c.sendErr
		}
		c.mu.Unlock()
		c.fail(err)
	})
	return c
}

// begin sends the preface and the settings.
func (c *Conn) begin() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if _, err := io.WriteString(deadlineWriter{c.conn}, http2.ClientPreface); err != nil {
		return err
	}
	err := c.framer.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: window},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeaderList})
	if err != nil {
		return err
	}
	return c.framer.WriteWindowUpdate(0, window-defaultWindow)
}

// A NotHTTP2Error says that the server speaks something else.
type NotHTTP2Error struct{ Begins string }

func (e *NotHTTP2Error) Error() string {
	what := "something else than HTTP/2"
	switch {
	case bytes.HasPrefix([]byte(e.Begins), []byte("HTTP/")):
		what = "HTTP/1.1, not HTTP/2"
	case len(e.Begins) > 1 && (e.Begins[0] == 0x15 || e.Begins[0] == 0x16) && e.Begins[1] == 3:
		what = "TLS"
	}
	return fmt.Sprintf("the server speaks %s on this port: its answer begins with %q", what, e.Begins)
}

// recognise waits for the server's first frame, which must be SETTINGS.
func recognise(in *bufio.Reader) error {
	const head = 9
	first, err := in.Peek(head)
	if len(first) == head && err == nil && first[3] == byte(http2.FrameSettings) && first[4]&byte(http2.FlagSettingsAck) == 0 {
		return nil
	}
	// A server that is about to close may say GOAWAY at once.
	if len(first) == head && first[3] == byte(http2.FrameGoAway) && bytes.Equal(first[5:], make([]byte, 4)) {
		return nil
	}
	if len(first) == 0 {
		return err
	}
	return &NotHTTP2Error{string(first)}
}

// Usable reports whether a request can be sent.
func (c *Conn) Usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.usable()
}

// usable is Usable; mu must be held.
func (c *Conn) usable() bool {
	return c.err == nil && c.goAway == nil && !c.retired && c.next < 1<<31-1
}

// Retire lets the requests that are under way end, and then closes the connection. It
// does not wait.
func (c *Conn) Retire() {
	c.mu.Lock()
	c.retired = true
	idle := len(c.streams) == 0
	c.mu.Unlock()
	if idle {
		_ = c.conn.Close() // the reader ends, and with it all else
	}
}

// Close closes the connection; what is under way is lost by that.
func (c *Conn) Close() error {
	c.fail(errClosed)
	c.reader.Wait()
	return nil
}

// LocalAddr returns the client's address.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// fail ends the connection, and all streams that are not over.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	streams := c.streams
	c.streams = map[uint32]*stream{}
	c.changed.Broadcast()
	goAway := c.goAway
	c.mu.Unlock()
	_ = c.conn.Close() // it is over
	for _, s := range streams {
		s.end(&LostError{Err: err, GoAway: goAway})
	}
}

// forget removes a stream that is over, and closes a connection that has no other and
// gets no more.
func (c *Conn) forget(s *stream) {
	c.mu.Lock()
	delete(c.streams, s.id)
	last := len(c.streams) == 0 && (c.retired || c.goAway != nil)
	c.changed.Broadcast()
	c.mu.Unlock()
	if last {
		_ = c.conn.Close() // the reader ends, and with it all else
	}
}

// reply writes on behalf of the reader. If it fails, the reader goes on: what the server
// sent before it closed is still to be read.
func (c *Conn) reply(f func() error) {
	if err := c.write(f); err != nil {
		c.mourn(err)
	}
}

// lookFor is how long the reader has to find out how a connection ended that can't be
// written to. It finds a close or a reset at once; only a connection on which nothing
// moves takes that long.
const lookFor = 5 * time.Second

// mourn records that a write failed. The reader ends the connection: by what it finds,
// which is more exact, or else by this error.
func (c *Conn) mourn(err error) {
	c.mu.Lock()
	if c.sendErr == nil {
		c.sendErr = fmt.Errorf("while sending: %w", err)
	}
	c.mu.Unlock()
	_ = c.conn.SetReadDeadline(time.Now().Add(lookFor)) // if it fails, the reader has ended
}

// write locks the writing side and calls f.
func (c *Conn) write(f func() error) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return f()
}

// deadlineWriter bounds each write.
type deadlineWriter struct{ conn net.Conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	if err := w.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.conn.Write(p)
}
