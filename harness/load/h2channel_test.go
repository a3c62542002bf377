package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestRightServerWithHTTP2(t *testing.T) {
	t.Run("prior knowledge", func(t *testing.T) {
		var requests atomic.Int64
		s := httptest.NewUnstartedServer(rightHandler(t, &requests))
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
		t.Cleanup(s.Close)
		c := allClasses(s.Listener.Addr().String())
		c.Protocol = record.HTTP2
		summary := expectNothingLost(t, c, &requests)
		if opened := summary.Clients[0].Opened; opened != 4 {
			t.Errorf("%d kept connections were opened", opened)
		}
	})
	t.Run("TLS", func(t *testing.T) {
		var requests atomic.Int64
		s, settings := secureServer(t, rightHandler(t, &requests), func(p *http.Protocols) { p.SetHTTP2(true) })
		c := allClasses(s.Listener.Addr().String())
		c.Protocol, c.TLS = record.HTTP2, settings
		expectNothingLost(t, c, &requests)
	})
}

// An h2Peer is the server's end of a connection, by frames.
type h2Peer struct {
	*http2.Framer
	c *serverConn
}

// h2Server calls handle for each connection, when the client's preface has been read.
func h2Server(t *testing.T, handle func(p *h2Peer)) *server {
	return startServer(t, func(c *serverConn) {
		if _, err := io.CopyN(io.Discard, c.r, int64(len(http2.ClientPreface))); err != nil {
			return
		}
		p := &h2Peer{http2.NewFramer(c.TCPConn, c.r), c}
		if p.WriteSettings() == nil {
			handle(p)
		}
		_, _ = io.Copy(io.Discard, c.r) // until the client closes
	})
}

// request waits for the header of a request, and returns its stream; 0 if there is none.
func (p *h2Peer) request() uint32 {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return 0
		}
		if f.Header().Type == http2.FrameHeaders {
			p.c.s.requests.Add(1)
			return f.Header().StreamID
		}
	}
}

// head sends the header of a response.
func (p *h2Peer) head(stream uint32, end bool, fields ...string) {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	_ = p.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: b.Bytes(), EndHeaders: true, EndStream: end})
}

func (p *h2Peer) answerAll() {
	for id := p.request(); id != 0; id = p.request() {
		p.head(id, true, ":status", "200")
	}
}

// What becomes of a request depends on what the server has said of it.
func TestFatesOfHTTP2(t *testing.T) {
	for name, x := range map[string]struct {
		first  func(p *h2Peer, id uint32) // the first connection, when it has a request
		want   record.Outcome
		again  int
		detail string
	}{
		"GOAWAY below the stream": {func(p *h2Peer, id uint32) { p.WriteGoAway(id-1, http2.ErrCodeNo, nil) }, record.OK, 1, ""},
		"REFUSED_STREAM":          {func(p *h2Peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeRefusedStream) }, record.OK, 1, ""},
		"GOAWAY above, and an answer": {func(p *h2Peer, id uint32) {
			p.WriteGoAway(1<<31-1, http2.ErrCodeNo, nil)
			p.head(id, true, ":status", "200")
		}, record.OK, 0, ""},
		"GOAWAY above, and the end": {func(p *h2Peer, id uint32) {
			p.WriteGoAway(id, http2.ErrCodeNo, []byte("bye"))
			p.c.Close()
		}, record.EOFBefore, 0, "EOF, after GOAWAY NO_ERROR, last stream 1, \"bye\", which covered this stream"},
		"the end without GOAWAY": {func(p *h2Peer, _ uint32) { p.c.CloseWrite() }, record.EOFBefore, 0, "EOF, without GOAWAY"},
		"a reset":                {func(p *h2Peer, _ uint32) { p.c.reset() }, record.ResetBefore, 0, "without GOAWAY"},
		"the end in the body": {func(p *h2Peer, id uint32) {
			p.head(id, false, ":status", "200")
			p.WriteData(id, false, []byte("abc"))
			p.c.CloseWrite()
		}, record.EOFMid, 0, "after status 200 and 3 bytes"},
		"RST_STREAM": {func(p *h2Peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeInternal) }, record.StreamReset, 0, "INTERNAL_ERROR"},
		"a body that is too short": {func(p *h2Peer, id uint32) {
			p.head(id, false, ":status", "200", "content-length", "5")
			p.WriteData(id, true, []byte("abc"))
		}, record.Malformed, 0, "Content-Length is 5"},
		"no status":      {func(p *h2Peer, id uint32) { p.head(id, true, "a", "b") }, record.Malformed, 0, ""},
		"another status": {func(p *h2Peer, id uint32) { p.head(id, true, ":status", "503") }, record.UnexpectedStatus, 0, "503"},
		"an interim response": {func(p *h2Peer, id uint32) {
			p.head(id, false, ":status", "103")
			p.head(id, true, ":status", "200")
		}, record.OK, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := h2Server(t, func(p *h2Peer) {
				if p.c.n > 1 {
					p.answerAll()
					return
				}
				if id := p.request(); id != 0 {
					x.first(p, id)
				}
			})
			c := config(s.address, record.Pooled, 20)
			c.Protocol = record.HTTP2
			r := first(t, c, 1)[0]
			if r.Outcome != x.want || r.Again != x.again || !strings.Contains(r.Detail, x.detail) || r.Failed() != (r.Local != "") {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A server that never processes a request loses it in the end, and each connection has
// carried it once.
func TestNeverProcessed(t *testing.T) {
	s := h2Server(t, func(p *h2Peer) {
		if id := p.request(); id != 0 {
			p.WriteGoAway(0, http2.ErrCodeNo, nil)
		}
	})
	c := config(s.address, record.New, 20)
	c.Protocol = record.HTTP2
	all, summary := runUntil(t, c, func(*record.Request, int) bool { return true })
	for _, r := range all {
		if r.Outcome != record.NotProcessed || r.Again != maxAgain {
			t.Errorf("%+v", r)
		}
	}
	if want := len(all) * (maxAgain + 1); int(s.requests.Load()) != want || summary.Clients[0].Opened != want {
		t.Errorf("%d requests on %d connections; want %d", s.requests.Load(), summary.Clients[0].Opened, want)
	}
}

// If a request is to be sent again and no other connection can be made, its record says
// nothing of the one before.
func TestNoConnectionToSendAgain(t *testing.T) {
	s := h2Server(t, func(p *h2Peer) {
		p.head(p.request(), true, ":status", "200", "x-pod", "a")
		if id := p.request(); id != 0 {
			p.WriteGoAway(id-2, http2.ErrCodeNo, nil)
		}
	})
	c := config(s.address, record.Pooled, 20)
	c.Protocol = record.HTTP2
	var dials atomic.Int64
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) > 1 {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	r := first(t, c, 2)[1]
	if r.Outcome != record.Refused || r.Again != 1 || r.Pod != "" || r.ConnectionUse != 0 || r.ConnectionAge != 0 {
		t.Errorf("%+v", r)
	}
}

// A kept connection that the server closes while it is idle is replaced, and nothing is
// lost: whoever speaks HTTP/2 always reads.
func TestIdleEndOfHTTP2(t *testing.T) {
	s := h2Server(t, func(p *h2Peer) {
		if id := p.request(); id != 0 {
			p.head(id, true, ":status", "200")
			p.c.CloseWrite()
		}
	})
	c := config(s.address, record.Pooled, 5)
	c.Protocol = record.HTTP2
	all := first(t, c, 4)
	for _, r := range all {
		if r.Failed() {
			t.Logf("%+v", r) // the next request was quicker than the end
		}
	}
	if !strings.Contains(string(all[0].Outcome), "ok") || s.accepted.Load() < 2 {
		t.Errorf("%d connections, %+v", s.accepted.Load(), all[0])
	}
}

// An event stream over HTTP/2 ends well after a goodbye only.
func TestStreamOverHTTP2(t *testing.T) {
	for name, x := range map[string]struct {
		end  func(p *h2Peer, id uint32)
		want record.Outcome
	}{
		"goodbye": {func(p *h2Peer, id uint32) { p.WriteData(id, true, []byte("event: goodbye\ndata: 1\n\n")) }, record.OK},
		"none":    {func(p *h2Peer, id uint32) { p.WriteData(id, true, []byte("data: 1\n\n")) }, record.StreamBroken},
		"reset":   {func(p *h2Peer, id uint32) { p.WriteRSTStream(id, http2.ErrCodeCancel) }, record.StreamBroken},
		"GOAWAY":  {func(p *h2Peer, id uint32) { p.WriteGoAway(id, http2.ErrCodeNo, nil); p.c.CloseWrite() }, record.StreamBroken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := h2Server(t, func(p *h2Peer) {
				if id := p.request(); id != 0 {
					p.head(id, false, ":status", "200", "content-type", "text/event-stream")
					p.WriteData(id, false, []byte("data: 0\n\n"))
					x.end(p, id)
				}
			})
			c := config(s.address, record.Stream, 0)
			c.Protocol = record.HTTP2
			if r := first(t, c, 1)[0]; r.Outcome != x.want || r.Events < 1 {
				t.Errorf("%+v", r)
			}
		})
	}
}
