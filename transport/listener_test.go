package transport

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/valyala/fasthttp/fasthttputil"
)

// A listener that is no TCP socket is served and stopped like one.
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
