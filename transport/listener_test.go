package transport

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"

	"kubernaut.io/dynamic-toolset/transport/internal/conn"
)

// A listener that is not a TCP socket is served and stopped like one.
func TestServesAnyListener(t *testing.T) {
	memory := fasthttputil.NewInmemoryListener()
	s := lookupServer(t, func(o *Options) { o.Listener, o.MetricsListen = memory, "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return memory.Dial() }}}
	for range 3 {
		res, err := client.Get("http://x/api/v1/toolsets/p7")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || len(body) == 0 {
			t.Errorf("%s, %d bytes, %v", res.Status, len(body), err)
		}
		res.Body.Close() //nolint:errcheck // it was read
	}
	client.CloseIdleConnections()
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := memory.Dial(); err == nil {
		t.Error("it still listens")
	}
}

// A connection that is not a socket survives the checks of its idle time, although its
// deadline error is not the one of package os.
func TestAnyConnectionMayBeSilent(t *testing.T) {
	memory := fasthttputil.NewInmemoryListener()
	s := lookupServer(t, func(o *Options) { o.Listener, o.MetricsListen = memory, "127.0.0.1:0" })
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	nc, err := memory.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close() //nolint:errcheck // it only ends the test
	from := bufio.NewReader(nc)
	for i := range 2 {
		if i > 0 {
			time.Sleep(conn.IdleAfter + conn.IdleAfter/4) // so that one check has been made
		}
		if _, err := io.WriteString(nc, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatalf("request %d: %v", i+1, err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("request %d: %s, %v", i+1, res.Status, err)
		}
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
