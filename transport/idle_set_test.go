package transport

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// A connection that has been silent for a while is in the idle set, or in an event loop, where
// fasthttp has no part of it, and is served again when the client sends a request.
func TestIdleSet(t *testing.T) {
	for name, loop := range map[string]bool{"with event loops": true, "without": false} {
		t.Run(name, func(t *testing.T) { testIdleSet(t, loop) })
	}
}

func testIdleSet(t *testing.T, loop bool) {
	s := lookupServer(t, withLoop, func(o *Options) { o.EventLoop = loop })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // the end of the test
	r := bufio.NewReader(client)
	ask := func() {
		t.Helper()
		client.SetDeadline(time.Now().Add(time.Minute))                                           //nolint:errcheck // less than the idle timeout
		io.WriteString(client, "GET /api/v1/services?namespace=ns-7 HTTP/1.1\r\nHost: x\r\n\r\n") //nolint:errcheck // the read tells
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			t.Fatalf("%s, %q, %v", res.Status, body, err)
		}
	}
	inIdleSet := func() bool {
		open, _ := s.apiPort.listener.Count()
		return open == 1 && s.apiPort.server.GetOpenConnectionsCount() == 0
	}
	for range 2 {
		ask()
		ask()
		if inIdleSet() {
			t.Fatal("in the idle set at once")
		}
		for end := time.Now().Add(time.Minute); !inIdleSet(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("not in the idle set")
			}
		}
	}
	ask()
	for !inIdleSet() {
		time.Sleep(10 * time.Millisecond)
	}
	// The drain ends it silently.
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(r); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
}
