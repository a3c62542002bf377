package conn

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// With a goroutine for each connection, a request costs a read that finds nothing, the way
// into the runtime's poller and back, and the read that finds the request. An event loop
// spares all but the last, and its connections need neither a stack nor buffers.
//
// So a connection is in a loop unless a request is under way that only the server can
// answer. The loop reads what arrives and has Options.Answer answer it. What that does not
// answer goes to the server, with the bytes that were read, and the connection comes back
// when it has been silent for IdleAfter.
//
// A loop's system calls never wait, so they are made without telling the scheduler
// (RawSyscall), which costs as much as a short call itself. Only the wait for events, when
// there may be none yet, is an ordinary call.

const (
	// loopBuffer is how much a loop reads at once.
	// Whoever sends without a pause, has this much answered before others get their turn.
	loopBuffer = 16 << 10
	// loopSends is how many bytes of answers a loop collects before it sends them. With the
	// last of them, they are what a connection keeps whose client does not take them.
	loopSends = 16 << 10
	// loopTick is how often a loop looks for connections whose time is over, at most.
	loopTick = time.Second
)

// loops are the event loops of a Listener. Connections are spread over them evenly.
type loops struct {
	owner   *Listener
	all     []*loop
	started atomic.Bool
	running sync.WaitGroup

	listening *listening

	// silentSince is since when connections must have been silent for the drain to end
	// them, and asked how often the drain has asked for that.
	silentSince, asked atomic.Int64
	// ending is set when the loops are to close what they have, and end.
	ending atomic.Bool
}

// A loop is one event loop. What comes before load belongs to its goroutine.
type loop struct {
	of        *loops
	epoll     int
	wakeup    int // an eventfd, readable when there is something in given or a word from the drain
	acceptor  acceptor
	conns     []*Conn // by file descriptor
	spare     []*Conn // closed ones, whose memory is used again
	nextTick  instant
	asked     int64 // the drain's last question that was answered
	buffer    []byte
	responses []byte
	events    [128]unix.EpollEvent
	pieces    [batchPieces][]byte // what is sent at once, empty in between
	vectors   [batchPieces]unix.Iovec

	load atomic.Int64 // connections that it has, and that are given

	mu    sync.Mutex
	given []*Conn // connections that others have given to it
	ended bool    // it takes none, and wakeup is closed or about to be
}

// newLoops returns n loops that accept the connections of l. The listener's socket is theirs
// from then on, unless an error is returned.
func newLoops(l *Listener, n int) (*loops, error) {
	ls := &loops{owner: l}
	for range n {
		e, err := newLoop(ls)
		if err != nil {
			ls.discard()
			return nil, err
		}
		ls.all = append(ls.all, e)
	}
	if err := ls.takeSocket(l.socket); err != nil {
		ls.discard()
		return nil, err
	}
	return ls, nil
}

func newLoop(ls *loops) (*loop, error) {
	e := &loop{of: ls, wakeup: -1, acceptor: acceptor{fd: -1}, buffer: make([]byte, loopBuffer), nextTick: math.MaxInt64}
	var err error
	if e.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if e.wakeup, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		err = e.watch(e.wakeup)
	}
	if err != nil {
		e.discard()
		return nil, err
	}
	return e, nil
}

func (e *loop) discard() {
	unix.Close(e.epoll) //nolint:errcheck // nothing is left to be done about it
	if e.wakeup >= 0 {
		unix.Close(e.wakeup) //nolint:errcheck // as above
	}
}

// discard frees what loops that were not started have.
func (ls *loops) discard() {
	for _, e := range ls.all {
		e.end()
	}
}

// start starts the loops' goroutines, which end after stop.
func (ls *loops) start() {
	if ls.started.CompareAndSwap(false, true) {
		for _, e := range ls.all {
			ls.running.Go(e.run)
		}
	}
}

// stop closes the connections that are still in the loops, ends the loops, and waits for
// that.
func (ls *loops) stop() {
	if ls == nil || !ls.ending.CompareAndSwap(false, true) {
		return
	}
	ls.wake()
	ls.running.Wait()
}

// wake makes all loops look at what others want of them.
func (ls *loops) wake() {
	if ls == nil {
		return
	}
	for _, e := range ls.all {
		e.wake()
	}
}

func (e *loop) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.signal()
}

// signal makes the loop's wait end. The caller must hold the mutex: when the loop has ended,
// the number of its eventfd may be that of another file.
func (e *loop) signal() {
	if e.ended {
		return
	}
	one := [8]byte{1}            // in the machine's order; any number but 0 will do
	unix.Write(e.wakeup, one[:]) //nolint:errcheck // it is readable already
}

// endIdle ends the connections whose clients have been silent since t; 0 for none.
func (ls *loops) endIdle(t instant) {
	if ls == nil || t == 0 {
		return
	}
	ls.silentSince.Store(int64(t))
	ls.asked.Add(1)
	ls.wake()
}

// closeSocket closes the listening socket.
func (ls *loops) closeSocket() error {
	if ls.started.CompareAndSwap(false, true) {
		ls.discard()
		return nil
	}
	ls.owner.phase.Store(emptying)
	ls.wake()
	return nil
}

// choose returns the loop that gets a connection which first has: that one, unless another
// has clearly fewer. first may be nil.
func (ls *loops) choose(first *loop) *loop {
	least := ls.all[0]
	fewest := least.load.Load()
	for _, e := range ls.all[1:] {
		if n := e.load.Load(); n < fewest {
			least, fewest = e, n
		}
	}
	if first != nil && first.load.Load() <= fewest+fewest/8+1 {
		return first
	}
	return least
}

func (e *loop) give(c *Conn) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return false
	}
	e.load.Add(1)
	e.given = append(e.given, c)
	if len(e.given) == 1 {
		e.signal()
	}
	return true
}

// watch adds a descriptor to those whose events the loop gets.
func (e *loop) watch(fd int) error { return e.control(fd, unix.EPOLL_CTL_ADD, unix.EPOLLIN) }

// unwatch removes a descriptor from them.
func (e *loop) unwatch(fd int) {
	e.control(fd, unix.EPOLL_CTL_DEL, 0) //nolint:errcheck // it may have been removed already
}

func (e *loop) control(fd, how int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: int32(fd)}                                                                                    // #nosec G115 -- a file descriptor
	_, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(e.epoll), uintptr(how), uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0) // #nosec G103 G115 -- for the system call
	if errno != 0 {
		return errno
	}
	return nil
}

func (e *loop) run() {
	n := 0
	for !e.of.ending.Load() {
		n = e.await(n)
		for i := range n {
			switch fd := int(e.events[i].Fd); {
			case fd == e.wakeup:
				var count [8]byte
				unix.Read(e.wakeup, count[:]) //nolint:errcheck // somebody else's wake has been read already
			case fd == e.acceptor.fd:
				e.accept(n)
			default:
				if c := e.conns[fd]; c != nil { // else it was closed by an earlier event
					e.readable(c)
				}
			}
		}
		e.take()
		if t := now(); t >= e.nextTick || e.of.asked.Load() != e.asked {
			e.tick(t)
		}
		e.continueAccepting()
		// What the server does with other connections must not wait until this goroutine
		// is interrupted.
		runtime.Gosched()
	}
	e.end()
}

// await returns the number of new events; 0 if it is time to look at what is due. last is that
// of the turn before: after several events there are mostly others by now, and to ask for
// those costs less than a wait. After one there are mostly none.
func (e *loop) await(last int) int {
	if last > 1 {
		if n := e.poll(0); n > 0 {
			return n
		}
	}
	return e.poll(e.patience())
}

// poll returns the number of new events. It waits for at most wait milliseconds; -1 for
// ever.
func (e *loop) poll(wait int) int {
	var n uintptr
	var errno syscall.Errno
	to := uintptr(unsafe.Pointer(&e.events[0])) // #nosec G103 -- for the system call
	if wait == 0 {
		n, _, errno = syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.epoll), to, uintptr(len(e.events)), 0, 0, 0)
	} else {
		n, _, errno = syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.epoll), to, uintptr(len(e.events)), uintptr(wait), 0, 0) // #nosec G115 -- -1 is meant
	}
	if errno != 0 { // EINTR
		return 0
	}
	return int(n) // #nosec G115 -- at most the number of events
}

// patience returns how long poll may wait.
func (e *loop) patience() int {
	next := min(e.nextTick, e.acceptor.retry)
	if next == math.MaxInt64 {
		return -1
	}
	return int(max(next.sub(now())/time.Millisecond, 0) + 1)
}

// take takes over the connections that others have given to the loop.
func (e *loop) take() {
	e.mu.Lock()
	given := e.given
	e.given = nil
	e.mu.Unlock()
	for _, c := range given {
		e.add(c)
	}
}

// add makes c one of the loop's connections. Its client may have sent something already.
func (e *loop) add(c *Conn) {
	fd := c.socket.fd
	for fd >= len(e.conns) {
		e.conns = append(e.conns, make([]*Conn, max(64, len(e.conns)))...)
	}
	e.conns[fd] = c
	if err := e.watch(fd); err != nil {
		e.close(c)
		return
	}
	e.mind()
}

// mind makes sure that the loop looks at its connections before the time of one is over.
func (e *loop) mind() {
	limits := &e.of.owner.limits
	e.nextTick = min(e.nextTick, now().add(min(loopTick, limits.ReadTimeout/4, limits.IdleTimeout/4)))
}

// tick ends connections whose time is over.
func (e *loop) tick(t instant) {
	e.asked = e.of.asked.Load()
	silentSince := instant(e.of.silentSince.Load())
	e.nextTick = math.MaxInt64
	if e.load.Load() == 0 {
		return
	}
	e.mind()
	for _, c := range e.conns {
		switch {
		case c == nil:
		case c.socket.lingers != 0:
			if t >= c.socket.lingers {
				e.close(c)
			}
		case c.socket.silent <= silentSince || t >= c.socketLimit():
			e.endIdle(c)
		case c.Attachment != nil && t >= c.socket.silent.add(IdleAfter):
			c.forgetAttachment() // as in the idle set: a token must not stay for long
			c.Attachment = nil
		}
	}
}

// endIdle closes a connection whose client has been silent, unless a request has just
// arrived.
func (e *loop) endIdle(c *Conn) {
	if isReadable(uintptr(c.socket.fd)) { // #nosec G115 -- a file descriptor
		e.readable(c)
		return
	}
	unix.Shutdown(c.socket.fd, unix.SHUT_WR) //nolint:errcheck // the client may be gone
	e.close(c)
}

// end closes what is left.
func (e *loop) end() {
	e.mu.Lock()
	e.ended = true
	given := e.given
	e.given = nil
	e.mu.Unlock()
	for _, c := range append(given, e.conns...) {
		if c != nil {
			e.close(c)
		}
	}
	e.stopAccepting()
	e.discard()
}
