package conn

import (
	"errors"
	"math"
	"net"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// acceptsAtOnce bounds the connections that are accepted before others get their turn.
const acceptsAtOnce = 64

// An acceptor accepts the connections of all loops. It belongs to one of them.
type acceptor struct {
	fd      int     // the listening socket; -1 when it is closed
	waiting int     // a connection over the limit, for which no rejection is free; -1: none
	retry   instant // when to try again, after an error or while one is waiting; MaxInt64: at the next event
	pause   time.Duration
	told    instant // when an error was logged last
	empty   instant // when the queue counts as empty, unless a connection comes; 0 while connections are welcome
}

func newAcceptor(fd int) *acceptor { return &acceptor{fd: fd, waiting: -1, retry: math.MaxInt64} }

// continueAccepting does what is due after a pause, and when the listener is to be closed.
func (e *loop) continueAccepting() {
	a, l := e.acceptor, e.of.owner
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
	e.watch(a.fd, unix.EPOLL_CTL_ADD) //nolint:errcheck // it may be there
	e.accept()
	if a.empty == 0 || a.retry != math.MaxInt64 {
		return
	}
	if now() < a.empty {
		a.retry = a.empty
		return
	}
	a.close(l)
}

// accept accepts the connections that are in the queue, as many as get a turn.
func (e *loop) accept() {
	a, l := e.acceptor, e.of.owner
	if a.waiting >= 0 {
		fd := a.waiting
		a.waiting = -1
		if !e.admit(fd) {
			return
		}
	}
	for range acceptsAtOnce {
		fd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(a.fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0) // #nosec G115 -- a file descriptor
		switch errno {
		case 0:
			a.pause = 0
			if a.empty != 0 {
				a.empty = now().add(emptyWait)
			}
			if !e.admit(int(fd)) { // #nosec G115 -- as above
				return
			}
		case unix.EAGAIN:
			return
		case unix.EINTR, unix.ECONNABORTED:
		default:
			// This may be for want of file descriptors, for example. It passes, so it must
			// not end the listener.
			if t := now(); a.told == 0 || t.sub(a.told) >= toldEveryPause {
				a.told = t
				l.log.Warn("Can't accept a connection; trying again", zap.Error(errno))
			}
			a.pause = min(max(2*a.pause, 5*time.Millisecond), time.Second)
			e.holdBack(a.pause)
			return
		}
	}
}

// holdBack accepts nothing for a while.
func (e *loop) holdBack(pause time.Duration) {
	a := e.acceptor
	e.watch(a.fd, unix.EPOLL_CTL_DEL) //nolint:errcheck // it may have been removed already
	a.retry = now().add(pause)
}

// admit takes a connection in, if there is room below the limit, and answers what has
// arrived on it. It returns false if the connection has to wait.
func (e *loop) admit(fd int) bool {
	l := e.of.owner
	t := now()
	c := &Conn{owner: l, in: reading{ahead: ahead{between: true}}, socket: socket{fd: fd, silent: t}}
	c.idle.canEnter = true
	c.idle.inSet.Store(true)
	c.idle.since.Store(int64(t))
	l.setAge(c, t)
	if !l.place(c) {
		return e.turnAway(fd)
	}
	if e.readable(c) {
		loops := e.of.all
		e.of.turn = (e.of.turn + 1) % len(loops)
		if to := loops[e.of.turn]; to == e || c.socket.lingers != 0 || !to.give(c) {
			e.add(c)
		}
	}
	return true
}

// turnAway rejects a connection over the limit. It returns false if too many rejections
// are under way.
func (e *loop) turnAway(fd int) bool {
	l := e.of.owner
	select {
	case l.rejecting <- struct{}{}:
	default:
		e.acceptor.waiting = fd
		e.holdBack(time.Millisecond)
		return false
	}
	l.rejected.Add(1)
	nc, err := netConn(fd)
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

// close closes the listening socket.
func (a *acceptor) close(l *Listener) {
	if a.fd < 0 {
		return
	}
	unix.Close(a.fd) //nolint:errcheck // nothing is left to be done about it
	a.fd = -1
	a.retry = math.MaxInt64
	if a.waiting >= 0 {
		unix.Close(a.waiting) //nolint:errcheck // as above
	}
	close(l.emptied)
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
	for _, o := range inherited {
		err = errors.Join(err, unix.SetsockoptInt(fd, o.level, o.name, o.value))
	}
	first := ls.all[0]
	if err = errors.Join(err, first.watch(fd, unix.EPOLL_CTL_ADD)); err != nil {
		unix.Close(fd) //nolint:errcheck // nothing has used it
		return err
	}
	first.acceptor = newAcceptor(fd)
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

// refuseNew makes the kernel ignore new connection attempts. The socket must not be closed
// at the same time.
func (ls *loops) refuseNew() error { return attachFilter(ls.all[0].acceptor.fd) }
