package transport

import (
	"bytes"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"
	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/service/snapshot"
	"kubernaut.io/dynamic-toolset/transport/api"
	"kubernaut.io/dynamic-toolset/transport/internal/reply"
)

// A loop is the spike: one goroutine that accepts, reads, answers plain lookups by name
// and hands everything else to fasthttp.
type loop struct {
	s        *Server
	ep, ln   int
	observe  func(status int, took time.Duration)
	in       [64 << 10]byte
	out      []byte
	date     []byte
	dateUnix int64
	conns    []loopConn
	events   [128]unix.EpollEvent
	served   []byte
}

type loopConn struct {
	accepted time.Duration
	moved    time.Duration
	expires  time.Duration
}

var loopEpoch = time.Now()

func newLoop(s *Server) (*loop, error) {
	raw, err := s.apiPort.tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	l := &loop{s: s, observe: s.apiPort.chain.SpikeObserver("/api/v1/toolsets/{name}"), conns: make([]loopConn, 65536), served: []byte(s.opts.ServedBy)}
	if err := raw.Control(func(fd uintptr) { l.ln, err = unix.Dup(int(fd)) }); err != nil {
		return nil, err
	}
	if l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(l.ln, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // inherited
	return l, unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.ln, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.ln)})
}

func (l *loop) wait(timeout int) int {
	p := uintptr(unsafe.Pointer(&l.events[0]))
	var n uintptr
	var e syscall.Errno
	if timeout == 0 {
		n, _, e = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), p, uintptr(len(l.events)), 0, 0, 0)
	} else {
		n, _, e = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.ep), p, uintptr(len(l.events)), uintptr(timeout), 0, 0)
	}
	if e != 0 {
		return 0
	}
	return int(n)
}

func (l *loop) run() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, unix.SIGTERM)
	go func() { <-stop; os.Exit(0) }()
	for {
		n := l.wait(0)
		if n == 0 {
			n = l.wait(1000)
		}
		now := time.Since(loopEpoch)
		l.refreshDate(now)
		for i := range n {
			if fd := int(l.events[i].Fd); fd == l.ln {
				l.accept(now)
			} else {
				l.readable(fd)
			}
		}
	}
}

func (l *loop) refreshDate(now time.Duration) {
	t := loopEpoch.Add(now)
	if u := t.Unix(); u != l.dateUnix {
		l.dateUnix = u
		l.date = fasthttp.AppendHTTPDate(l.date[:0], t)
	}
}

func (l *loop) accept(now time.Duration) {
	for range 64 {
		fd, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(l.ln), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if e != 0 {
			return
		}
		l.conns[fd] = loopConn{accepted: now, moved: now, expires: now + time.Hour}
		if !l.readable(int(fd)) {
			continue
		}
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)}
		syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.ep), unix.EPOLL_CTL_ADD, fd, uintptr(unsafe.Pointer(&ev)), 0, 0)
	}
}

// readable reports whether the connection stays with the loop.
func (l *loop) readable(fd int) bool {
	n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&l.in[0])), uintptr(len(l.in)))
	if e == unix.EAGAIN {
		return true
	}
	if e != 0 || n == 0 {
		syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		return false
	}
	c := &l.conns[fd]
	began := time.Since(loopEpoch)
	b := l.in[:n]
	l.out = l.out[:0]
	last := false
	for len(b) > 0 && !last {
		var used int
		if used, last = l.answer(c, b, began); used == 0 {
			break
		}
		b = b[used:]
	}
	c.moved = began
	if len(l.out) > 0 {
		syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&l.out[0])), uintptr(len(l.out)))
	}
	switch {
	case last:
		syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
		return false
	case len(b) > 0:
		l.handOver(fd, bytes.Clone(b))
		return false
	}
	return true
}

// handOver gives a connection, and what was read from it, to fasthttp.
func (l *loop) handOver(fd int, b []byte) {
	_ = unix.EpollCtl(l.ep, unix.EPOLL_CTL_DEL, fd, nil)
	f := os.NewFile(uintptr(fd), "")
	nc, err := net.FileConn(f)
	f.Close()
	if err != nil {
		return
	}
	go l.s.apiPort.server.ServeConn(&ahead{Conn: nc, b: b})
}

type ahead struct {
	net.Conn
	b []byte
}

func (a *ahead) Read(p []byte) (int, error) {
	if len(a.b) == 0 {
		return a.Conn.Read(p)
	}
	n := copy(p, a.b)
	a.b = a.b[n:]
	return n, nil
}

var lookupPrefix = []byte("GET /api/v1/toolsets/")

// words that are no names
func word(name []byte) bool {
	switch string(name) {
	case "watch", "generate", "validate":
		return true
	}
	return false
}

// answer appends the answer to the request that b begins with, and returns its length; 0
// if it is no plain lookup, or not there as a whole.
func (l *loop) answer(c *loopConn, b []byte, began time.Duration) (used int, last bool) {
	if !bytes.HasPrefix(b, lookupPrefix) {
		return 0, false
	}
	name := b[len(lookupPrefix):]
	end := bytes.IndexByte(name, ' ')
	if end <= 0 || end > 253 {
		return 0, false
	}
	rest := name[end:]
	name = name[:end]
	for _, ch := range name {
		if ch != '-' && (ch < '0' || ch > '9') && (ch < 'a' || ch > 'z') {
			return 0, false
		}
	}
	if word(name) || len(rest) < 11 || string(rest[:11]) != " HTTP/1.1\r\n" {
		return 0, false
	}
	rest = rest[11:]
	var match, encoding, id []byte
	hosts, closes := 0, false
	for {
		i := bytes.IndexByte(rest, '\n')
		if i < 1 || rest[i-1] != '\r' {
			return 0, false
		}
		line := rest[:i-1]
		rest = rest[i+1:]
		if len(line) == 0 {
			break
		}
		colon := bytes.IndexByte(line, ':')
		if colon <= 0 || colon+2 > len(line) || line[colon+1] != ' ' {
			return 0, false
		}
		value := line[colon+2:]
		for _, ch := range value {
			if ch < ' ' || ch > '~' {
				return 0, false
			}
		}
		switch string(line[:colon]) {
		case "Host":
			hosts++
			for _, ch := range value {
				if ch != '.' && ch != '-' && ch != ':' && (ch < '0' || ch > '9') && (ch < 'a' || ch > 'z') {
					return 0, false
				}
			}
		case "User-Agent", "Accept":
		case "Accept-Encoding":
			encoding = value
		case "If-None-Match":
			match = value
		case "X-Request-Id":
			id = value
		case "Connection":
			if string(value) != "close" {
				return 0, false
			}
			closes = true
		default:
			return 0, false
		}
	}
	snap := l.s.opts.Catalogue.Snapshot()
	if hosts != 1 || snap == nil {
		return 0, false
	}
	body, m := snap.Lookup(name, nil)
	if m != snapshot.Found {
		return 0, false
	}
	used = len(b) - len(rest)
	status, content, packed := 200, body.JSON, false
	o := l.out
	switch {
	case match != nil && api.SpikeMatches(match, body.ETag):
		status, content = 304, nil
		o = append(o, "HTTP/1.1 304 Not Modified\r\nServer: dynamic-toolset\r\nDate: "...)
		o = append(o, l.date...)
	default:
		o = append(o, "HTTP/1.1 200 OK\r\nServer: dynamic-toolset\r\nDate: "...)
		o = append(o, l.date...)
		o = append(o, "\r\nContent-Type: application/json\r\nContent-Length: "...)
		if encoding != nil && api.SpikeGzip(encoding) {
			content, packed = body.Gzip, true
		}
		o = strconv.AppendInt(o, int64(len(content)), 10)
	}
	o = append(o, "\r\nX-Request-Id: "...)
	if reply.ValidRequestID(id) {
		o = append(o, id...)
	} else {
		o = reply.AppendRequestID(o)
	}
	o = append(o, "\r\nCache-Control: no-cache\r\nVary: Accept-Encoding"...)
	if w := l.s.api.SpikeWarning(); w != nil {
		o = append(append(o, "\r\nWarning: "...), w...)
	}
	o = append(append(o, "\r\nEtag: "...), body.ETag...)
	if packed {
		o = append(o, "\r\nContent-Encoding: gzip"...)
	}
	if len(l.served) > 0 {
		o = append(append(o, "\r\nX-Served-By: "...), l.served...)
	}
	now := time.Since(loopEpoch)
	if closes || len(rest) == 0 && (l.s.apiPort.chain.SpikeDraining() || now > c.expires) {
		last = true
		o = append(o, "\r\nConnection: close"...)
	}
	o = append(append(o, "\r\n\r\n"...), content...)
	l.out = o
	l.observe(status, now-began)
	return used, last
}
