package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 2 * time.Second
	drainFor    = 20 * time.Second
	maxIdle     = 64 // connections to pods
	tries       = 3
)

// A proxy answers each request by what the target answers.
type proxy struct {
	addresses []string
	defect    defect
	turn      atomic.Uint64
	stopping  atomic.Bool

	mu      sync.Mutex
	idle    []*upstream       // connections to pods, the last used last
	clients map[net.Conn]bool // whether it has a request
	work    sync.WaitGroup
}

// An upstream is a connection to a pod.
type upstream struct {
	net.Conn
	reader *bufio.Reader
}

func (p *proxy) accept(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		p.work.Go(func() { p.serve(c) })
	}
}

// drain ends the connections of clients that have no request, and waits for the others.
func (p *proxy) drain() {
	p.mu.Lock()
	for c, busy := range p.clients {
		if !busy {
			_ = c.Close()
		}
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() {
		p.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainFor):
	}
}

func (p *proxy) set(c net.Conn, busy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.clients == nil {
		p.clients = map[net.Conn]bool{}
	}
	p.clients[c] = busy
}

// serve answers the requests of a client.
func (p *proxy) serve(c net.Conn) {
	defer func() {
		_ = c.Close()
		p.mu.Lock()
		delete(p.clients, c)
		p.mu.Unlock()
	}()
	reader := bufio.NewReader(c)
	for {
		p.set(c, false)
		req, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		p.set(c, true)
		resp, from := p.forward(req)
		last := req.Close || resp.Close || p.stopping.Load()
		resp.Close = last
		err = resp.Write(c)
		_ = resp.Body.Close()
		if from != nil {
			if err != nil {
				_ = from.Close()
			} else {
				p.keep(from)
			}
		}
		if err != nil || last {
			return
		}
	}
}

// forward sends a request to the target. If no pod answers, the response is the proxy's
// own.
func (p *proxy) forward(req *http.Request) (*http.Response, *upstream) {
	again := tries
	if p.defect == sendsOnClosed {
		again = 1
	}
	var err error
	for range again {
		var u *upstream
		if u, err = p.connect(); err != nil {
			continue
		}
		out := *req
		out.Close, out.Header = false, req.Header.Clone()
		out.Header.Del("Connection") // it is of the client's connection
		if err = out.Write(u); err == nil {
			var resp *http.Response
			if resp, err = http.ReadResponse(u.reader, req); err == nil {
				if resp.Close {
					return resp, nil
				}
				return resp, u
			}
		}
		_ = u.Close()
		if req.ContentLength != 0 {
			break // its body is gone
		}
	}
	text := fmt.Sprintf("gateway: %v\n", err)
	return &http.Response{
		StatusCode: http.StatusBadGateway, ProtoMajor: 1, ProtoMinor: 1, Request: req, ContentLength: int64(len(text)),
		Header: http.Header{"Server": {"gateway"}, "Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

// connect returns a connection that is kept, or a new one.
func (p *proxy) connect() (*upstream, error) {
	for {
		p.mu.Lock()
		n := len(p.idle)
		if n == 0 {
			p.mu.Unlock()
			break
		}
		u := p.idle[0] // all are used in turn
		p.idle = slices.Delete(p.idle, 0, 1)
		p.mu.Unlock()
		if p.defect == sendsOnClosed || open(u) {
			return u, nil
		}
		_ = u.Close()
	}
	address := p.addresses[p.turn.Add(1)%uint64(len(p.addresses))]
	c, err := net.DialTimeout("tcp", address, dialTimeout)
	if err != nil {
		return nil, err
	}
	return &upstream{Conn: c, reader: bufio.NewReader(c)}, nil
}

func (p *proxy) keep(u *upstream) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) >= maxIdle {
		_ = u.Close()
		return
	}
	p.idle = append(p.idle, u)
}

// open looks whether the pod's close has arrived.
func open(u *upstream) bool {
	if err := u.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	_, err := u.reader.Peek(1)
	var timeout net.Error
	ok := errors.As(err, &timeout) && timeout.Timeout()
	return ok && u.SetReadDeadline(time.Time{}) == nil
}

// warm opens some connections to pods before they are needed.
func (p *proxy) warm(n int) {
	for i := range n {
		if c, err := net.DialTimeout("tcp", p.addresses[i%len(p.addresses)], dialTimeout); err == nil {
			p.keep(&upstream{Conn: c, reader: bufio.NewReader(c)})
		}
	}
}
