package conn

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

const (
	// acceptsAtOnce bounds the connections that are accepted before others get their turn.
	acceptsAtOnce = 64
	// patientAccepts is how many turns in a row may leave connections in the queue, before twice
	// as many are accepted at once.
	patientAccepts = 16
)

// All loops accept from the same socket, so that one core does not bound the new
// connections, and no connection waits for a loop that is busy. The kernel wakes one loop
// for each connection (EPOLLEXCLUSIVE). With a socket for each loop (SO_REUSEPORT), the
// kernel would choose by the client's port, whatever else that loop has to do, and there would
// be a queue for each to empty. It costs little less with few loops; see docs/benchmarks.md.
//
// The socket does not defer connections until something arrives on them (TCP_DEFER_ACCEPT):
// this gains nothing that can be measured (BenchmarkNewConnections), since a request that has
// come with its connection is read at once anyway. And when the socket is closed, the kernel
// would reset those connections on which nothing has arrived, though their clients may use them.

// A listening is the listening socket of all loops.
type listening struct {
	mu      sync.Mutex // guards fd
	fd      int        // -1 when it is closed
	users   atomic.Int32
	told    atomic.Int64 // when an error was logged last, an instant
	emptied chan struct{}
}

// An acceptor accepts connections for one loop. It belongs to it.
type acceptor struct {
	fd      int            // the listening socket; -1 when the loop no longer accepts
	waiting int            // a connection over the limit, for which no rejection is free; -1: none
	from    netip.AddrPort // its client
	retry   instant        // when to try again, after an error or while one is waiting; MaxInt64: at the next event
	pause   time.Duration
	atOnce  int     // how many connections are accepted in a turn, unless that has more events
	left    int     // how many turns in a row may have left connections in the queue
	empty   instant // when the queue counts as empty, unless a connection comes; 0 while connections are welcome
}

// newAcceptor makes the loop accept connections.
func (e *loop) newAcceptor(ln *listening) error {
	e.acceptor = acceptor{fd: ln.fd, waiting: -1, retry: math.MaxInt64}
	if err := e.watchListening(); err != nil {
		e.acceptor.fd = -1
		return err
	}
	ln.users.Add(1)
	return nil
}

func (e *loop) watchListening() error {
	return e.control(e.acceptor.fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

// continueAccepting does what is due after a pause, and when the listener is to be closed.
func (e *loop) continueAccepting() {
	a, l := &e.acceptor, e.of.owner
	if a.fd < 0 {
		return
	}
	if l.phase.Load() == emptying && a.empty == 0 {
		a.empty = now().add(emptyWait)
		a.retry = now() // the queue is looked at least once
	}
	if a.retry == math.MaxInt64 || now() < a.retry {
		return
	}
	a.retry = math.MaxInt64
	e.watchListening() //nolint:errcheck // it may be there
	emptied := e.accept(acceptsAtOnce)
	if a.empty == 0 || a.retry != math.MaxInt64 {
		return
	}
	if !emptied || now() < a.empty {
		a.retry = a.empty
		return
	}
	e.stopAccepting()
}

// accept accepts connections that are in the queue, about as many as the turn has events, and
// reports whether it has found the queue empty. What is left in it is the next turn's event. So
// few calls find it empty, which would cost as much as a short request. But when several turns
// have left connections there, as when the server has much to do between them, more are
// accepted.
func (e *loop) accept(events int) (emptied bool) {
	a := &e.acceptor
	if a.waiting >= 0 {
		fd := a.waiting
		a.waiting = -1
		if !e.admit(fd, a.from) {
			return false
		}
	}
	for range min(max(events, a.atOnce), acceptsAtOnce) {
		fd, from, errno := acceptRaw(a.fd)
		switch errno {
		case 0:
			a.pause = 0
			if a.empty != 0 {
				a.empty = now().add(emptyWait)
			}
			if !e.admit(fd, from) {
				return false
			}
		case unix.EAGAIN:
			a.atOnce, a.left = 1, 0
			return true
		case unix.EINTR, unix.ECONNABORTED:
		default:
			// This may be for want of file descriptors, for example. It passes, so it must
			// not end the listener.
			e.of.listening.tell(e.of.owner.log, errno)
			a.pause = min(max(2*a.pause, 5*time.Millisecond), time.Second)
			e.holdBack(a.pause)
			return false
		}
	}
	if a.left++; a.left%patientAccepts == 0 {
		a.atOnce = min(2*max(a.atOnce, 1), acceptsAtOnce)
	}
	return false
}

// tell logs that no connection can be accepted, now and then.
func (ln *listening) tell(log *zap.Logger, errno syscall.Errno) {
	t, last := now(), ln.told.Load()
	if (last == 0 || t.sub(instant(last)) >= toldEveryPause) && ln.told.CompareAndSwap(last, int64(t)) {
		log.Warn("Can't accept a connection; trying again", zap.Error(errno))
	}
}

// acceptRaw accepts a connection. See the head of loop_linux.go.
func acceptRaw(listening int) (fd int, from netip.AddrPort, errno syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listening), uintptr(unsafe.Pointer(&sa)), uintptr(unsafe.Pointer(&size)), // #nosec G103 G115 -- for the system call
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, from, errno
	}
	return int(n), addrOf(&sa), 0 // #nosec G115 -- a file descriptor
}

// addrOf returns an address of the Internet as the kernel gives it.
func addrOf(sa *unix.RawSockaddrAny) netip.AddrPort {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa)) // #nosec G103 -- as its family says
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), hostOrder(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa)) // #nosec G103 -- as above
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), hostOrder(in.Port))
	}
	return netip.AddrPort{}
}

// hostOrder returns a port that is in the order of the network.
func hostOrder(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

// holdBack accepts nothing for a while.
func (e *loop) holdBack(pause time.Duration) {
	e.unwatch(e.acceptor.fd)
	e.acceptor.retry = now().add(pause)
}

// admit takes a connection in, if there is room below the limit, and answers what has
// arrived on it. It returns false if the connection has to wait.
func (e *loop) admit(fd int, from netip.AddrPort) bool {
	l := e.of.owner
	t := now()
	c := e.newConn()
	c.owner, c.client, c.in.ahead.between = l, from, true
	c.socket.fd, c.socket.silent, c.socket.unshared = fd, t, true
	c.idle.canEnter = true
	c.idle.inSet.Store(true)
	c.idle.since.Store(int64(t))
	l.setAge(c, t)
	if !l.place(c) {
		e.reuse(c)
		return e.turnAway(fd, from)
	}
	if e.readable(c) {
		if to := e.of.choose(e); to == e || c.socket.lingers != 0 || !to.give(c) {
			e.load.Add(1)
			e.add(c)
		}
	}
	return true
}

// turnAway rejects a connection over the limit. It returns false if too many rejections
// are under way.
func (e *loop) turnAway(fd int, from netip.AddrPort) bool {
	l := e.of.owner
	select {
	case l.rejecting <- struct{}{}:
	default:
		e.acceptor.waiting, e.acceptor.from = fd, from
		e.holdBack(time.Millisecond)
		return false
	}
	l.rejected.Add(1)
	nc, err := newFileConn(fd, from)
	if err != nil {
		<-l.rejecting
		return true
	}
	l.rejectors.Go(func() {
		defer func() { <-l.rejecting }()
		l.reject(nc)
	})
	return true
}

// stopAccepting makes the loop accept no more. The last loop closes the listening socket.
func (e *loop) stopAccepting() {
	a, ln := &e.acceptor, e.of.listening
	if a.fd < 0 {
		return
	}
	e.unwatch(a.fd)
	a.fd, a.retry = -1, math.MaxInt64
	if a.waiting >= 0 {
		unix.Close(a.waiting) //nolint:errcheck // nothing is left to be done about it
		a.waiting = -1
	}
	if ln.users.Add(-1) == 0 {
		ln.close()
	}
}

func (ln *listening) close() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.fd >= 0 {
		unix.Close(ln.fd) //nolint:errcheck // nothing is left to be done about it
		ln.fd = -1
		close(ln.emptied)
	}
}

// takeSocket takes the socket of a listener from the runtime's poller, which would wake up
// for each connection as well.
func (ls *loops) takeSocket(socket net.Listener) error {
	tcp, ok := socket.(*net.TCPListener)
	if !ok {
		return errors.ErrUnsupported
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	controlErr := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(controlErr, err); err != nil {
		return err
	}
	ln := &listening{fd: fd, emptied: ls.owner.emptied}
	for _, o := range inherited {
		err = errors.Join(err, unix.SetsockoptInt(fd, o.level, o.name, o.value))
	}
	for _, e := range ls.all {
		if err == nil {
			err = e.newAcceptor(ln)
		}
	}
	if err != nil {
		for _, e := range ls.all {
			e.acceptor.fd = -1
		}
		unix.Close(fd) //nolint:errcheck // nothing has used it
		return err
	}
	ls.listening = ln
	return tcp.Close()
}

// inherited are options of the listening socket that its connections inherit: those that
// package net sets for each connection.
var inherited = []struct{ level, name, value int }{
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
	{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15},
	{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9},
}

// refuseNew makes the kernel ignore new connection attempts.
func (ls *loops) refuseNew() error {
	ln := ls.listening
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.fd < 0 {
		return net.ErrClosed
	}
	return attachFilter(ln.fd)
}
