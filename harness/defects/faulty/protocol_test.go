package main

import (
	"io"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Everything that is not a plain request, each on its own connection.
func TestProtocol(t *testing.T) {
	p := launch(t)
	long := strings.Repeat("x", 70<<10)
	tests := []struct {
		name, send string
		status     int
		closes     bool
	}{
		{"not HTTP", "hello\r\n\r\n", 400, true},
		{"a bad header", "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, true},
		{"a bad path", "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, true},
		{"no Host", "GET / HTTP/1.1\r\n\r\n", 400, true},
		{"a long header", "GET / HTTP/1.1\r\nHost: x\r\nA: " + long + "\r\n\r\n", 431, true},
		{"a long path", "GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, true},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, true},
		{"an expectation", "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n", 417, false},
		{"no such path", get("/api/v2"), 404, false},
		{"a wrong method", "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405, false},
		{"a body for a 404, kept", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", 404, false},
		{"a body that was not asked for", "POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", 404, true},
		{"a long body for a 404", "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat("x", 300000), 404, true},
		{"a broken body for a 404", "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 404, true},
		{"a bad time", get("/slow?for=soon"), 400, false},
		{"a time too long", get("/slow?for=11m"), 400, false},
		{"a negative time", get("/slow?for=-1s"), 400, false},
		{"a body that breaks", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, true},
		{"a body too long", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n" + strings.Repeat(long, 1000), 413, true},
		{"slow, at once", get("/slow?for=0s"), 200, false},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", 200, true},
		{"the client's wish", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200, true},
		{"chunks", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, false},
		{"ready", get("/health/ready"), 200, false},
		{"live", get("/health/live"), 200, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := mustDial(t, p.addr)
			go c.send(test.send) //nolint:errcheck // the server may stop reading; the response shows that
			r, err := c.receive()
			if err != nil {
				t.Fatal(err)
			}
			if r.StatusCode != test.status || r.Close != test.closes {
				t.Errorf("%s, close=%v; want %d, %v\n%s", r.Status, r.Close, test.status, test.closes, r.body)
			}
			if r.StatusCode >= 400 {
				if err := isProblem(r); err != nil {
					t.Error(err)
				}
			}
			if test.closes {
				if _, err := c.r.ReadByte(); err != io.EOF {
					t.Errorf("after the last response: %v, want EOF", err)
				}
			} else {
				c.mustGet(t, "/", 200)
			}
		})
	}
}

func TestHeadHasNoBody(t *testing.T) {
	c := mustDial(t, launch(t).addr)
	for _, path := range []string{"/", "/nothing", "/slow?for=1m", "/events"} {
		if err := c.send("HEAD " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		r, err := c.receiveTo("HEAD")
		if err != nil {
			t.Fatal(err)
		}
		if r.ContentLength <= 0 && path != "/events" {
			t.Errorf("%s: the length is %d", path, r.ContentLength)
		}
	}
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil {
		t.Errorf("after the last head: %q, %v", rest, err)
	}
}

func TestContinue(t *testing.T) {
	c := mustDial(t, launch(t).addr)
	if err := c.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if r, err := c.receive(); err != nil || r.StatusCode != 100 {
		t.Fatal(r, err)
	}
	if err := c.send("hello"); err != nil {
		t.Fatal(err)
	}
	if r, err := c.receive(); err != nil || r.StatusCode != 200 || r.body != "{\"length\":5}\n" {
		t.Fatal(r, err)
	}
	c.mustGet(t, "/", 200)
}

// A client that has sent several requests gets an answer to each. Only the last one
// announces the close.
func TestPipelinedRequestsInTheDrain(t *testing.T) {
	p := launch(t, "--propagation-delay="+delay.String())
	c := mustDial(t, p.addr)
	c.mustGet(t, "/", 200)
	p.signal(syscall.SIGTERM)
	if !p.logged(ddLines[2], patience) {
		t.Fatal("the flag was not set")
	}
	echo := "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
	if err := c.send(get("/") + echo + get("/nothing") + get("/")); err != nil {
		t.Fatal(err)
	}
	for i, status := range []int{200, 200, 404, 200} {
		r, err := c.receive()
		if err != nil {
			t.Fatalf("response %d: %v", i, err)
		}
		if r.StatusCode != status || r.Close != (i == 3) {
			t.Errorf("response %d: %s, close=%v", i, r.Status, r.Close)
		}
	}
	p.exits(0)
}

// pair returns both ends of a connection. The first belongs to s, but is not served
// yet.
func pair(t *testing.T, s *server) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // one connection is enough
	theirs, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close(); ours.Close() }) //nolint:errcheck // the test is over
	return newConn(ours, s), theirs
}

// A connection is taken for idle just when a request arrives. The last readable check
// finds the request, which is answered.
func TestReadableCheck(t *testing.T) {
	s := newServer(options{podName: "pod-1"}, slog.New(slog.DiscardHandler))
	s.parting.Store(true)
	for _, arrives := range []bool{true, false} {
		c, theirs := pair(t, s)
		c.enter(waiting, time.Hour)
		if arrives {
			if _, err := io.WriteString(theirs, get("/")); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(patience); unread(c.tcp) == 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the request did not arrive")
				}
			}
		}
		c.wakeIfSilent(time.Now().Add(time.Hour)) // before the goroutine reads
		var p [4096]byte
		n, err := c.Read(p[:])
		if arrives && (string(p[:n]) != get("/") || err != nil || !c.in(waiting)) {
			t.Errorf("a request that has arrived: %q, %v", p[:n], err)
		}
		if !arrives && (n != 0 || err != io.EOF || !c.in(leaving)) {
			t.Errorf("nothing has arrived: %d bytes, %v", n, err)
		}
	}
}

// Only a connection that has waited for long is woken.
func TestWakeIfSilent(t *testing.T) {
	c, theirs := pair(t, newServer(options{}, slog.New(slog.DiscardHandler)))
	read := make(chan error, 1)
	for _, phase := range []phase{active, waiting} {
		c.enter(phase, time.Hour)
		c.head = 1000
		c.wakeIfSilent(time.Now().Add(-time.Minute))
		if phase == active {
			c.wakeIfSilent(time.Now().Add(time.Hour))
		}
		go func() {
			var p [10]byte
			_, err := c.Read(p[:])
			read <- err
		}()
		select {
		case err := <-read:
			t.Fatalf("in phase %d the read ended without a byte: %v", phase, err)
		case <-time.After(50 * time.Millisecond): // a read that was woken would have ended by now
		}
		if _, err := io.WriteString(theirs, "x"); err != nil {
			t.Fatal(err)
		}
		if err := <-read; err != nil {
			t.Errorf("in phase %d the read ended with %v", phase, err)
		}
	}
}
