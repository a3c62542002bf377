package transport_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// A crowd is many clients at once that never try a request again.
type crowd struct {
	f        *fixture
	halt     chan struct{}
	clients  sync.WaitGroup
	answered atomic.Int64
	lost     atomic.Int64
	first    atomic.Pointer[error]
	// ended counts connections that ended without an announcement.
	ended atomic.Int64
	// shown has the serial numbers of the certificates that clients have seen.
	shown sync.Map
}

func (c *crowd) halted() bool {
	select {
	case <-c.halt:
		return true
	default:
		return false
	}
}

func (c *crowd) lose(kind string, err error) {
	err = fmt.Errorf("%s: %w", kind, err)
	c.lost.Add(1)
	c.first.CompareAndSwap(nil, &err)
}

// connect opens a connection. If the kernel ignores or refuses it, it does not count as
// lost, since the client would be routed elsewhere.
func (c *crowd) connect() net.Conn {
	tcp, err := net.DialTimeout("tcp", c.f.server.Addr(), 300*time.Millisecond)
	if err != nil {
		return nil
	}
	tcp.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the handshake tells
	return tcp
}

// session does the handshake of a connection.
func (c *crowd) session(kind string, tcp net.Conn) *tls.Conn {
	s := tls.Client(tcp, c.f.tls)
	if err := s.Handshake(); err != nil {
		c.lose(kind+", handshake", err)
		tcp.Close() //nolint:errcheck // it has failed already
		return nil
	}
	c.shown.Store(s.ConnectionState().PeerCertificates[0].SerialNumber.String(), true)
	return s
}

// new opens a connection for each request, until it can't.
func (c *crowd) new() {
	for !c.halted() {
		tcp := c.connect()
		if tcp == nil {
			return
		}
		s := c.session("new", tcp)
		if s == nil {
			return
		}
		if err := oneRequest(s); err != nil {
			c.lose("new", err)
			return
		}
		c.answered.Add(1)
	}
}

// batches sends n requests at once on a kept connection, again and again, and opens
// another connection when a response has announced the end of this one.
func (c *crowd) batches(kind string, n int, pause time.Duration) {
	for !c.halted() {
		tcp := c.connect()
		if tcp == nil {
			return
		}
		s := c.session(kind, tcp)
		if s == nil {
			return
		}
		r := bufio.NewReader(s)
		for last := false; !last; {
			if c.halted() {
				s.Close() //nolint:errcheck // this client is done
				return
			}
			s.SetDeadline(time.Now().Add(time.Minute)) //nolint:errcheck // the write tells
			if _, err := io.WriteString(s, strings.Repeat(getList, n)); err != nil {
				c.lose(kind+", write", err)
				c.ended.Add(1)
				return
			}
			for i := range n {
				resp, err := http.ReadResponse(r, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				if err == nil && resp.StatusCode != 200 {
					err = errors.New(resp.Status)
				}
				if err == nil && resp.Close && i < n-1 {
					err = fmt.Errorf("the end is announced after %d of %d", i+1, n)
				}
				if err != nil {
					c.lose(kind, err)
					c.ended.Add(1)
					return
				}
				c.answered.Add(1)
				last = resp.Close
			}
			time.Sleep(pause)
		}
		s.Close() //nolint:errcheck // it ends as was announced
	}
}

// slow makes slow handshakes.
func (c *crowd) slow() {
	for !c.halted() {
		tcp := c.connect()
		if tcp == nil {
			return
		}
		s := c.session("slow", &dawdler{Conn: tcp})
		if s == nil {
			return
		}
		if err := oneRequest(s); err != nil {
			c.lose("slow", err)
			return
		}
		c.answered.Add(1)
	}
}

// A dawdler sends each write in two halves, with a pause in between.
type dawdler struct{ net.Conn }

func (d *dawdler) Write(p []byte) (int, error) {
	half := len(p) / 2
	if n, err := d.Conn.Write(p[:half]); err != nil {
		return n, err
	}
	time.Sleep(100 * time.Millisecond)
	n, err := d.Conn.Write(p[half:])
	return half + n, err
}

// come starts the clients.
func (f *fixture) come() *crowd {
	c := &crowd{f: f, halt: make(chan struct{})}
	for range 15 {
		c.clients.Go(c.new)
		c.clients.Go(func() { c.batches("kept", 1, 5*time.Millisecond) })
		c.clients.Go(func() { c.batches("pipelined", 16, 5*time.Millisecond) })
		c.clients.Go(c.slow)
	}
	return c
}

// leave stops the clients and reports what was lost.
func (c *crowd) leave(t *testing.T) {
	t.Helper()
	close(c.halt)
	c.clients.Wait()
	if n := c.lost.Load(); n > 0 {
		t.Errorf("%d lost, %d answered; first: %v", n, c.answered.Load(), *c.first.Load())
	}
}

// patient gives clients on a busy machine the time they need.
func patient(o *options) {
	o.IdleGrace, o.DrainTimeout, o.Limits.ReadTimeout = 20*time.Second, time.Minute, 20*time.Second
}

// The stop loses no request over TLS: of clients that open new connections to the end,
// keep theirs, send several requests at once, or are in the middle of a slow handshake.
func TestTLSStopLosesNothing(t *testing.T) {
	for range 2 {
		f, _ := startTLS(t, func(o *options) {
			o.PropagationDelay = 300 * time.Millisecond
			patient(o)
		})
		c := f.come()
		until(t, "500 answers", func() bool { return c.answered.Load() >= 500 })
		if err := <-f.stop(); err != nil {
			t.Error(err)
		}
		c.leave(t)
	}
}

// A certificate is replaced many times under load: no request and no connection
// is lost, and clients see the new ones.
func TestTLSRotationLosesNothing(t *testing.T) {
	f, dir := startTLS(t, patient)
	c := f.come()
	const rotations = 10
	var last string
	for i := range rotations {
		pair := authority().Issue(t, func(template *x509.Certificate) { last = template.SerialNumber.String() })
		pair.Mount(t, dir)
		until(t, "the new certificate is shown", func() bool { _, ok := c.shown.Load(last); return ok })
		if i%3 == 0 { // sometimes a bad one
			bad := authority().Issue(t, nil)
			bad.Key = pair.Key
			bad.Mount(t, dir)
			time.Sleep(50 * time.Millisecond)
		}
	}
	c.leave(t)
	if n := c.ended.Load(); n > 0 {
		t.Errorf("%d connections were ended", n)
	}
	if got := f.metric(`toolset_tls_certificate_reloads_total{result="success"}`); got != fmt.Sprint(rotations) {
		t.Errorf("%s reloads of %d", got, rotations)
	}
	if c.answered.Load() < 100 {
		t.Errorf("only %d answers: the test shows nothing", c.answered.Load())
	}
}

// A handshake that has begun when the drain looks for idle connections is completed, and
// the request after it is answered. A connection whose handshake has not begun is idle.
func TestTLSHandshakeUnderWayAsTheDrainBegins(t *testing.T) {
	f, _ := startTLS(t, func(o *options) { o.IdleGrace, o.Limits.ReadTimeout = 3*time.Second, 20*time.Second })
	const n = 20
	silent := f.dialTCP()
	proceed := make(chan struct{})
	var clients sync.WaitGroup
	for i := range n {
		// From the first byte to all but the last one of the ClientHello.
		raw := &stalled{Conn: f.dialTCP().Conn, after: 1 + i*80, began: make(chan struct{}), proceed: proceed}
		c := tls.Client(raw, f.tls)
		clients.Go(func() {
			if err := oneRequest(c); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
		<-raw.began
	}
	done := f.stop()
	f.logged("Draining in-flight HTTP connections")
	if b, err := io.ReadAll(silent.r); err != nil || len(b) > 0 {
		t.Errorf("a connection without a handshake: %q, %v", b, err)
	}
	time.Sleep(500 * time.Millisecond) // beyond the grace of all
	close(proceed)
	clients.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A stalled connection sends some bytes of what is written at first, and the rest when
// told to.
type stalled struct {
	net.Conn
	after          int
	began, proceed chan struct{}
	once           sync.Once
}

func (s *stalled) Write(p []byte) (n int, err error) {
	s.once.Do(func() {
		n = min(s.after, len(p)-1)
		if n, err = s.Conn.Write(p[:n]); err == nil {
			close(s.began)
			<-s.proceed
		}
	})
	if err != nil {
		return n, err
	}
	m, err := s.Conn.Write(p[n:])
	return n + m, err
}

// A key update that a client requests on a connection that has been silent for longer
// than a response may take is answered, and the connection goes on. Go's TLS client can't
// request one; OpenSSL's can.
func TestTLSKeyUpdateOnASilentConnection(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		testenv.Missing(t, "openssl", "apt-get install openssl")
	}
	f, dir := startTLS(t, func(o *options) { o.Limits.WriteTimeout = time.Second })
	ctx, cancel := context.WithTimeout(context.Background(), testenv.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, openssl, "s_client", "-connect", f.server.Addr(), "-servername", "localhost", "-CAfile", filepath.Join(dir, "tls.crt"), "-tls1_3") // #nosec G204 -- a test
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()         //nolint:errcheck // it is killed
	defer cmd.Process.Kill() //nolint:errcheck // it may have ended
	// Lines that begin with K are commands: update the keys, including the server's.
	lines := bufio.NewReader(out)
	ask := func(command string) {
		t.Helper()
		if _, err := io.WriteString(in, command+getList); err != nil {
			t.Fatal(err)
		}
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("no answer: %v", err)
			}
			if strings.Contains(line, `"total":4`) || strings.HasPrefix(line, "HTTP/1.1 200") {
				return
			}
		}
	}
	ask("")
	for range 2 {
		time.Sleep(1200 * time.Millisecond) // beyond the write timeout
		if _, err := io.WriteString(in, "K\n"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // a command must be alone in what s_client reads
		ask("")
	}
}
