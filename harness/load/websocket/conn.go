package websocket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	// maxMessage bounds what is read of a message.
	maxMessage = 1 << 20
	// writeTimeout bounds each write, and the wait for the server's close frame.
	writeTimeout = time.Second
)

// Abnormal stands for an end without a close frame.
const Abnormal = websocket.CloseAbnormalClosure

// A HandshakeError says that the server answered the request with something else than
// 101.
type HandshakeError struct{ Response *http.Response }

func (e *HandshakeError) Error() string {
	return fmt.Sprintf("the server does not take WebSocket connections at this path: it answered %s", e.Response.Status)
}

// A Conn is an open WebSocket connection.
type Conn struct {
	Header http.Header // of the response to the handshake
	ws     *websocket.Conn
	ask    func() error  // sends a message or a ping
	came   chan struct{} // a reply has arrived
	over   chan struct{} // closed when the reader has ended
	reader sync.WaitGroup
	end    End // set when over is closed
}

// An End says how a connection ended.
type End struct {
	// Code is the server's, or Abnormal if it sent no close frame.
	Code int
	Err  error
}

// A Request asks for a WebSocket connection.
type Request struct {
	Host, Path string
	Header     map[string]string
	// Message is sent, and any message counts as the reply. Empty: a ping is sent, and a
	// pong is the reply.
	Message string
}

// Open makes the handshake on conn, on which TLS is already if there is to be any. If it
// fails, conn is closed.
func Open(ctx context.Context, conn net.Conn, r *Request) (*Conn, error) {
	u, err := url.ParseRequestURI(r.Path)
	if err != nil {
		_ = conn.Close() // it is of no use
		return nil, err
	}
	u.Scheme, u.Host = "ws", "target" // Host is a header below
	header := http.Header{"Host": {r.Host}}
	for name, value := range r.Header {
		header.Set(name, value)
	}
	dialer := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	ws, resp, err := dialer.DialContext(ctx, u.String(), header)
	if err != nil {
		_ = conn.Close() // it is of no use
		if errors.Is(err, websocket.ErrBadHandshake) && resp != nil {
			return nil, &HandshakeError{resp}
		}
		return nil, err
	}
	c := &Conn{Header: resp.Header, ws: ws, came: make(chan struct{}, 1), over: make(chan struct{})}
	ws.SetReadLimit(maxMessage)
	if r.Message != "" {
		c.ask = func() error {
			if err := ws.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
				return err
			}
			return ws.WriteMessage(websocket.TextMessage, []byte(r.Message))
		}
	} else {
		c.ask = func() error {
			return ws.WriteControl(websocket.PingMessage, []byte("load"), time.Now().Add(writeTimeout))
		}
		ws.SetPongHandler(func(string) error { c.arrived(); return nil })
	}
	c.reader.Go(func() { c.read(r.Message != "") })
	return c, nil
}

func (c *Conn) arrived() {
	select {
	case c.came <- struct{}{}:
	default:
	}
}

// read reads until the connection ends. Reading also answers pings, and close frames.
func (c *Conn) read(messages bool) {
	defer close(c.over)
	for {
		_, r, err := c.ws.NextReader()
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil {
			c.end = End{Abnormal, err}
			var closed *websocket.CloseError
			if errors.As(err, &closed) {
				c.end.Code = closed.Code
			}
			return
		}
		if messages {
			c.arrived()
		}
	}
}

// ErrNoReply says that the server did not reply in time.
var ErrNoReply = errors.New("no reply")

// Ask sends a message or a ping, and waits for the reply. It returns ErrNoReply if none
// came in time, or how the connection ended.
func (c *Conn) Ask(timeout time.Duration) (*End, error) {
	select {
	case <-c.came: // one that was not asked for
	default:
	}
	// If this fails, the reader finds out how the connection ended.
	sendErr := c.ask()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.came:
		return nil, nil
	case <-c.over:
		if end := c.end; end.Code == Abnormal && sendErr != nil && end.Err == nil {
			return &End{Abnormal, sendErr}, nil
		}
		return &c.end, nil
	case <-timer.C:
		return nil, ErrNoReply
	}
}

// Over is closed when the server has ended the connection; End then says how.
func (c *Conn) Over() <-chan struct{} { return c.over }

// End returns how the connection ended.
func (c *Conn) End() *End { return &c.end }

// LocalAddr returns the client's address.
func (c *Conn) LocalAddr() net.Addr { return c.ws.LocalAddr() }

// Close says that all is done (1000), waits a moment for the server to say so, too, and
// closes the connection.
func (c *Conn) Close() {
	text := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if c.ws.WriteControl(websocket.CloseMessage, text, time.Now().Add(writeTimeout)) == nil {
		timer := time.NewTimer(writeTimeout)
		defer timer.Stop()
		select {
		case <-c.over:
		case <-timer.C:
		}
	}
	_ = c.ws.Close() // it is over
	c.reader.Wait()
}
