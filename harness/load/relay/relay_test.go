package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// relayServer starts a relay, and returns a function that connects to it.
func relayServer(t *testing.T) func() net.Conn {
	t.Helper()
	s := httptest.NewServer(Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "not relayed") })))
	t.Cleanup(s.Close)
	return func() net.Conn {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
}

// server calls handle for each connection.
func server(t *testing.T, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c.(*net.TCPConn))
		}
	}()
	return l.Addr().String()
}

// Bytes are copied both ways unchanged, also if the server speaks first, and each way
// ends by itself.
func TestBothWays(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	address := server(t, func(c *net.TCPConn) {
		defer c.Close()
		_, _ = io.WriteString(c, "welcome\n")
		got, _ := io.ReadAll(c) // until this side has ended
		_, _ = c.Write(got)
	})
	conn, err := Dial(t.Context(), relayServer(t)(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	done := make(chan error, 1)
	go func() {
		_, err := conn.Write(big)
		done <- errors.Join(err, conn.(*relayed).CloseWrite())
	}()
	got, err := io.ReadAll(conn)
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	if want := append([]byte("welcome\n"), big...); !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, not %d", len(got), len(want))
	}
}

// A refused dial is told from one without an answer, by the kernel's error number.
func TestErrorsOfTheDial(t *testing.T) {
	reach := relayServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close()
	_, err = Dial(t.Context(), reach(), "tcp", nobody)
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), nobody) {
		t.Errorf("nobody listens: %v", err)
	}
	if _, err = Dial(t.Context(), reach(), "tcp", "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "missing port") {
		t.Errorf("no port: %v", err)
	}
	if _, err = Dial(t.Context(), reach(), "tcp", "no-such-host.invalid:80"); err == nil || errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "no-such-host") {
		t.Errorf("no such host: %v", err)
	}
	var timeout net.Error
	if got := refusal(&http.Response{Header: http.Header{errnoHeader: {"110"}}}); !errors.As(got, &timeout) || !timeout.Timeout() {
		t.Errorf("a timeout: %v", got)
	}
	if got := errno(&net.OpError{Err: context.DeadlineExceeded}); got != syscall.ETIMEDOUT {
		t.Errorf("a dial that is not answered: %v", got)
	}
}

// If a relay does not answer, or there is none, this is an error within the given time.
func TestNoRelay(t *testing.T) {
	silent := server(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c); _ = c.Close() })
	closing := server(t, func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 4096)); _ = c.Close() })
	another := server(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 4\r\n\r\nnope")
		_ = c.Close()
	})
	for address, want := range map[string]string{silent: context.DeadlineExceeded.Error(), closing: "without an answer", another: "405 Method Not Allowed: nope"} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if address != silent {
			ctx = t.Context()
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Dial(ctx, conn, "tcp", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
		if _, err := conn.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the connection is still open: %v", err)
		}
		cancel()
	}
}

// Other requests go to the next handler.
func TestHandsOn(t *testing.T) {
	conn := relayServer(t)()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(got), "not relayed") {
		t.Errorf("%q, %v", got, err)
	}
}
