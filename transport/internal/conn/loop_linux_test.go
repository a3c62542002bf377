package conn

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

var (
	ping = []byte("ping\n")
	pong = []byte("pong\n")
)

// looping returns a Listener with n event loops that answer pings, and have everything else
// served by echo.
func looping(t *testing.T, n int, change func(*Options)) *Listener {
	t.Helper()
	tcp, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Log:    zap.NewNop(),
		Limits: Limits{MaxConnections: 1000, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Hour},
		Serve:  echo,
		Answer: func(c *Conn, b, to []byte) (int, []byte, bool) {
			if !bytes.HasPrefix(b, ping) {
				return 0, to, false
			}
			c.AnsweredAhead(b[len(ping):], false)
			return len(ping), append(to, pong...), false
		},
	}
	if change != nil {
		change(&o)
	}
	l := newWith(tcp, o, n)
	if l.loops == nil {
		t.Fatal("there is no event loop")
	}
	accepted := make(chan struct{})
	go func() { defer close(accepted); l.Accept() }() //nolint:errcheck // it returns at the end
	t.Cleanup(func() {
		l.Drain(time.Second, 0, time.Now()) //nolint:errcheck // the end of a test
		<-accepted
	})
	return l
}

// echo sends back what a client sends.
func echo(c net.Conn) {
	io.Copy(c, c) //nolint:errcheck // the client tells
	c.Close()     //nolint:errcheck // as above
}

// speak sends something and wants an answer.
func speak(t *testing.T, c net.Conn, say, want string) {
	t.Helper()
	c.SetDeadline(time.Now().Add(testenv.Patience)) //nolint:errcheck // the read tells
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("%q: %q, %v", say, got, err)
	}
}

func dial(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() }) //nolint:errcheck // the end of a test
	return c
}

// Connections are spread over sixteen loops as evenly as over two, all of which accept, and a
// loop that loses its connections gets the next ones.
func TestLoopsShareTheConnections(t *testing.T) {
	for _, n := range []int{1, 2, 16} {
		l := looping(t, n, nil)
		const all = 320
		var clients []net.Conn
		for range all {
			clients = append(clients, dial(t, l))
			speak(t, clients[len(clients)-1], "ping\n", "pong\n")
		}
		even := func(total int) {
			t.Helper()
			testenv.Eventually(t, testenv.Patience, "all connections count", func() bool { // the last one was answered before
				sum := 0
				for _, e := range l.loops.all {
					sum += int(e.load.Load())
				}
				return sum == total
			})
			share := total / n
			for i, e := range l.loops.all {
				if have := int(e.load.Load()); have < share-share/4-2 || have > share+share/4+2 {
					t.Errorf("%d loops: the loop %d has %d of %d connections", n, i, have, total)
				}
			}
		}
		even(all)
		for i, c := range clients {
			if i%3 != 0 {
				c.Close() //nolint:errcheck // nothing was lost
			}
		}
		for l.Open() > (all+2)/3 {
			time.Sleep(time.Millisecond)
		}
		for range all {
			speak(t, dial(t, l), "ping\n", "pong\n")
		}
		even((all+2)/3 + all)
	}
}

// The memory of a closed connection is used for the next one, which has nothing of it. That of
// a connection which the server has had is not, since the server may still know it.
func TestClosedConnectionsAreUsedAgain(t *testing.T) {
	var met atomic.Pointer[Conn] // the connection of the last answer
	l := looping(t, 1, func(o *Options) {
		o.Answer = func(c *Conn, b, to []byte) (int, []byte, bool) {
			met.Store(c)
			if !bytes.HasPrefix(b, ping) {
				return 0, to, false
			}
			if c.Attachment != nil || c.in.greeted || c.ending.linger || c.ending.closed.Load() || c.socket.lingers != 0 || c.idle.state.Load() != waiting {
				t.Error("a new connection has something of the one before")
			}
			c.AnsweredAhead(b[len(ping):], true)
			c.Attachment = &forgetful{}
			c.Linger()
			return len(ping), append(to, pong...), true
		}
	})
	meet := func(say, want string) *Conn {
		t.Helper()
		c := dial(t, l)
		speak(t, c, say, want)
		if say != "ping\n" {
			testenv.Eventually(t, testenv.Patience, "it comes back to the loop", func() bool { return l.loops.all[0].load.Load() == 1 })
		}
		c.Close() //nolint:errcheck // nothing was lost
		testenv.Eventually(t, testenv.Patience, "it is closed", func() bool { return l.Open() == 0 })
		return met.Load()
	}
	first := meet("ping\n", "pong\n")
	if again := meet("ping\n", "pong\n"); again != first {
		t.Error("its memory is not used again")
	}
	served := meet("echo\n", "echo\n")
	for range 3 {
		if meet("ping\n", "pong\n") == served {
			t.Error("the memory of a connection is used again that the server has had")
		}
	}
}

// A connection goes to the server with what was read, comes back when it has been silent,
// and is drained wherever it is.
func TestThereAndBack(t *testing.T) {
	l := looping(t, 2, nil)
	c := dial(t, l)
	speak(t, c, "ping\nping\n", "pong\npong\n")
	speak(t, c, "ping\nhello", "pong\nhello")
	speak(t, c, "ping\n", "ping\n") // the server has it
	idle := dial(t, l)
	speak(t, idle, "ping\n", "pong\n")
	if err := l.Drain(testenv.Patience, 0, time.Now()); err != nil {
		t.Error(err)
	}
	wantEnd(t, idle)
	wantEnd(t, c)
}

// Whoever sends without a pause, and does not read, keeps nobody waiting.
func TestWhoNeverStopsKeepsNobodyWaiting(t *testing.T) {
	l := looping(t, 1, nil)
	greedy, stop := dial(t, l), make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		flood := bytes.Repeat(ping, 20_000)
		for {
			select {
			case <-stop:
				return
			default:
			}
			greedy.SetDeadline(time.Now().Add(10 * time.Millisecond)) //nolint:errcheck // it may wait
			greedy.Write(flood)                                       //nolint:errcheck // as above
		}
	})
	reader := dial(t, l)
	running.Go(func() { // another, who reads, so that it stays in the loop
		buf := make([]byte, 64<<10)
		for {
			select {
			case <-stop:
				return
			default:
			}
			reader.SetDeadline(time.Now().Add(time.Second)) //nolint:errcheck // the read tells
			reader.Write(bytes.Repeat(ping, 3000))          //nolint:errcheck // as above
			for n := 0; n < 3000*len(pong); {
				m, err := reader.Read(buf)
				if n += m; err != nil {
					return
				}
			}
		}
	})
	for range 100 {
		c := dial(t, l)
		speak(t, c, "ping\n", "pong\n")
		c.Close() //nolint:errcheck // it has its answer
	}
	close(stop)
	running.Wait()
}

// forgetful is an Attachment.
type forgetful struct{ forgotten atomic.Bool }

func (f *forgetful) Forget() { f.forgotten.Store(true) }

// What is kept with a connection, such as a token, is forgotten when the client is silent.
func TestALoopForgetsWhenTheClientIsSilent(t *testing.T) {
	f := &forgetful{}
	l := looping(t, 1, func(o *Options) {
		answer := o.Answer
		o.Answer = func(c *Conn, b, to []byte) (int, []byte, bool) {
			if c.Attachment == nil {
				c.Attachment = f
			}
			return answer(c, b, to)
		}
	})
	speak(t, dial(t, l), "ping\n", "pong\n")
	if f.forgotten.Load() {
		t.Error("forgotten at once")
	}
	for end := time.Now().Add(testenv.Patience); !f.forgotten.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not forgotten")
		}
	}
}

// A loop that has ended is not woken: the number of its eventfd may be that of another file.
func TestAWakeAfterTheEndWritesNothing(t *testing.T) {
	l := looping(t, 2, nil)
	speak(t, dial(t, l), "ping\n", "pong\n")
	number := l.loops.all[1].wakeup
	if err := l.Drain(time.Second, 0, time.Now()); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close() //nolint:errcheck // the end of a test
	defer w.Close() //nolint:errcheck // as above
	if err := unix.Dup2(int(w.Fd()), number); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(number) //nolint:errcheck // as above
	l.loops.wake()
	l.loops.endIdle(now())
	l.Close() //nolint:errcheck // as above
	if n, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ); n != 0 || err != nil {
		t.Errorf("%d bytes were written into another file, %v", n, err)
	}
}

// When there are no descriptors left, the connections that there are are served all the same.
func TestHandOverWithoutDescriptors(t *testing.T) {
	l := looping(t, 1, nil)
	c := dial(t, l)
	speak(t, c, "ping\n", "pong\n")
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := unix.Rlimit{Cur: 3, Max: limit.Max} // all in use
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Error(err)
		}
	}()
	if f, err := os.Open(os.DevNull); err == nil {
		f.Close() //nolint:errcheck // not written to
		t.Fatal("there are descriptors left")
	}
	speak(t, c, "hello", "hello")
}

// What a connection is to the server, whoever made it.
func TestFileConn(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	l := looping(t, 1, nil)
	from := dial(t, l).LocalAddr().(*net.TCPAddr).AddrPort()
	c, err := newFileConn(fds[0], from)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newFileConn(fds[1], from)
	if err != nil {
		t.Fatal(err)
	}
	if c.RemoteAddr().String() != from.String() {
		t.Errorf("from %s, not %s", c.RemoteAddr(), from)
	}
	// More than the socket takes at once, in pieces of all sizes.
	var pieces net.Buffers
	var want bytes.Buffer
	for i := range 200 {
		p := bytes.Repeat([]byte(fmt.Sprint(i)), i*i)
		want.Write(p)
		pieces = append(pieces, p)
	}
	var got bytes.Buffer
	read := make(chan error)
	go func() {
		_, err := got.ReadFrom(other)
		read <- err
	}()
	if err := writeBuffers(c, &pieces); err != nil || len(pieces) > 0 {
		t.Errorf("%d pieces left, %v", len(pieces), err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Error(err)
	}
	if err := <-read; err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes of %d arrived, %v", got.Len(), want.Len(), err)
	}
	if err := c.SetReadDeadline(past); err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); !timedOut(err) {
		t.Errorf("after the deadline: %v", err)
	}
	other.Close() //nolint:errcheck // the end of a test
	c.Close()     //nolint:errcheck // as above
	if _, err := c.Write([]byte{1}); err == nil || !bytes.Contains([]byte(err.Error()), []byte(net.ErrClosed.Error())) {
		t.Errorf("after Close: %v", err)
	}
}

// BenchmarkNewConnections compares loops that all accept with loops of which one accepts for
// all. More loops than CPUs simulate more cores: what they cost each other shows, what they
// gain does not. cpu-ns/op is the CPU time of the process, which is client and server.
func BenchmarkNewConnections(b *testing.B) {
	for _, n := range []int{2, 16} {
		for _, shared := range []bool{false, true} {
			b.Run(fmt.Sprintf("loops=%d/all-accept=%v", n, shared), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(n))
				tcp, err := Listen(context.Background(), "127.0.0.1:0")
				if err != nil {
					b.Fatal(err)
				}
				l := newWith(tcp, Options{
					Log:    zap.NewNop(),
					Limits: Limits{MaxConnections: 10_000, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Hour},
					Serve:  echo,
					Answer: func(c *Conn, rest, to []byte) (int, []byte, bool) {
						c.AnsweredAhead(nil, false)
						return len(rest), append(to, pong...), true
					},
				}, n)
				if !shared {
					for _, e := range l.loops.all[1:] {
						e.stopAccepting()
					}
				}
				go l.Accept()                             //nolint:errcheck // it returns at the end
				defer l.Drain(time.Second, 0, time.Now()) //nolint:errcheck // the end of a benchmark
				addr := tcp.Addr().(*net.TCPAddr)
				to := &unix.SockaddrInet4{Addr: [4]byte(addr.IP.To4()), Port: addr.Port}
				begin := cpuTime(b)
				defer func() { b.ReportMetric(float64(cpuTime(b)-begin)/float64(b.N), "cpu-ns/op") }()
				b.RunParallel(func(pb *testing.PB) {
					buf := make([]byte, 64)
					for pb.Next() {
						if err := once(to, buf); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// once makes a connection, sends a ping, reads the answer, and resets the connection, so that
// no port stays in use.
func once(to unix.Sockaddr, buf []byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd) //nolint:errcheck // the end
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	if err := unix.Connect(fd, to); err != nil {
		return err
	}
	if _, err := unix.Write(fd, ping); err != nil {
		return err
	}
	_, err = unix.Read(fd, buf)
	return err
}

// resting returns the loop of a Listener that does not run, so that a test can make its calls,
// and n clients in the accept queue.
func resting(t *testing.T, n int) (*loop, *Listener) {
	t.Helper()
	tcp, err := Listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limits := Limits{MaxConnections: 1000, ReadTimeout: time.Minute, WriteTimeout: time.Minute, IdleTimeout: time.Hour}
	l := newWith(tcp, Options{Log: zap.NewNop(), Limits: limits, Serve: echo, Answer: func(_ *Conn, _, to []byte) (int, []byte, bool) { return 0, to, false }}, 1)
	if l.loops == nil {
		t.Fatal("there is no event loop")
	}
	t.Cleanup(l.loops.discard)
	for range n {
		dial(t, l)
	}
	return l.loops.all[0], l
}

// A loop accepts as many connections as it has other events, so that few calls find the queue
// empty. When that leaves connections in the queue again and again, it accepts more.
func TestAcceptsAsManyAsAreWaiting(t *testing.T) {
	const all = 150
	e, l := resting(t, all)
	turns, most := 0, 0
	for emptied := false; !emptied; turns++ {
		before := l.Open()
		emptied = e.accept(1)
		if n := l.Open() - before; turns < patientAccepts && n != 1 {
			t.Errorf("turn %d accepts %d", turns, n)
		} else {
			most = max(most, n)
		}
	}
	if l.Open() != all || turns > 60 || most < 8 {
		t.Errorf("%d of %d in %d turns, at most %d at once", l.Open(), all, turns, most)
	}
	dial(t, l)
	dial(t, l)
	if e.accept(1); l.Open() != all+1 {
		t.Errorf("after the queue was empty, %d are accepted at once", l.Open()-all)
	}
	if e.accept(2); l.Open() != all+2 {
		t.Errorf("%d open", l.Open())
	}
}

// A listener that is being closed empties its queue, however slow it is.
func TestAQueueIsEmptiedBeforeTheEnd(t *testing.T) {
	const all = 2*acceptsAtOnce + 1
	e, l := resting(t, 0)
	answered := 0
	l.answer = func(_ *Conn, _, to []byte) (int, []byte, bool) {
		if answered++; answered%acceptsAtOnce == 0 {
			time.Sleep(emptyWait + time.Millisecond)
		}
		return 0, to, false
	}
	for range all {
		io.WriteString(dial(t, l), "x") //nolint:errcheck // what is not there is not accepted
	}
	l.phase.Store(emptying)
	for e.acceptor.fd >= 0 {
		e.continueAccepting()
	}
	if l.Open() != all {
		t.Errorf("%d of %d were accepted", l.Open(), all)
	}
}
