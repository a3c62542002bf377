package load

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	gorilla "github.com/gorilla/websocket"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// webSocketServer calls handle for each WebSocket connection.
func webSocketServer(t *testing.T, handle func(c *gorilla.Conn)) string {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/ws" {
			http.NotFound(w, req)
			return
		}
		c, err := (&gorilla.Upgrader{}).Upgrade(w, req, http.Header{"X-Pod": {"a"}})
		if err != nil {
			return
		}
		defer c.Close()
		handle(c)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func echo(c *gorilla.Conn) {
	for {
		kind, data, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, data) != nil {
			return
		}
	}
}

// end answers a message, and then ends the connection by end.
func endAfterOne(end func(c *gorilla.Conn)) func(c *gorilla.Conn) {
	return func(c *gorilla.Conn) {
		kind, data, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, data) != nil {
			return
		}
		end(c)
	}
}

func closeWith(code int) func(c *gorilla.Conn) {
	return func(c *gorilla.Conn) {
		_ = c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, ""), time.Now().Add(patience))
		_, _, _ = c.ReadMessage() // the client's close
	}
}

func webSocketLoad(address, message string) Config {
	return Config{
		Address: address, PodHeader: "X-Pod", ResponseTimeout: patience, DialTimeout: patience, Protocol: record.WebSocket,
		Clients: []Client{{Class: record.New, Rate: 30}, {Class: record.Stream, Connections: 3}},
		Targets: []Target{{Path: "/ws", Body: message, Classes: []record.Class{record.New, record.Stream}}},
	}
}

func TestRightServerWithWebSocket(t *testing.T) {
	for name, message := range map[string]string{"ping": "", "echo": "hello"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, _ := runUntil(t, webSocketLoad(webSocketServer(t, echo), message), func(_ *record.Request, n int) bool { return n == 30 })
			streams := 0
			for _, r := range all {
				if r.Failed() || r.Pod != "a" || r.Events == 0 || r.Protocol != record.WebSocket || r.Status != 101 {
					t.Errorf("%+v", r)
				}
				if r.Class == record.Stream {
					streams++
				}
			}
			if streams != 3 {
				t.Errorf("%d held connections; want 3", streams)
			}
		})
	}
}

// 1001 and 1012 are a goodbye; all else breaks a held connection.
func TestEndsOfWebSocket(t *testing.T) {
	for name, x := range map[string]struct {
		end    func(c *gorilla.Conn)
		want   record.Outcome
		detail string
	}{
		"going away":      {closeWith(1001), record.OK, ""},
		"service restart": {closeWith(1012), record.OK, ""},
		"normal":          {closeWith(1000), record.StreamBroken, "closed with 1000"},
		"no close frame":  {func(c *gorilla.Conn) { c.NetConn().Close() }, record.StreamBroken, "without a close frame (1006)"},
		"no code":         {closeWith(gorilla.CloseNoStatusReceived), record.StreamBroken, "closed without a code (1005)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := webSocketLoad(webSocketServer(t, endAfterOne(x.end)), "hello")
			c.Clients = []Client{{Class: record.Stream, Connections: 1}}
			if r := first(t, c, 1)[0]; r.Outcome != x.want || r.Events != 1 || !strings.Contains(r.Detail, x.detail) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// A connection that is held but no longer answers is broken, and so is a new one that ends
// before the reply.
func TestSilentWebSocket(t *testing.T) {
	silent := webSocketLoad(webSocketServer(t, func(c *gorilla.Conn) {
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	}), "hello")
	silent.ResponseTimeout = 100 * time.Millisecond
	silent.Clients = silent.Clients[1:]
	if r := first(t, silent, 1)[0]; r.Outcome != record.StreamBroken || !strings.Contains(r.Detail, "no reply within 100ms") {
		t.Errorf("%+v", r)
	}
	cut := webSocketLoad(webSocketServer(t, func(c *gorilla.Conn) {
		_, _, _ = c.ReadMessage()
		c.NetConn().Close()
	}), "hello")
	cut.Clients = cut.Clients[:1]
	if r := first(t, cut, 1)[0]; r.Outcome != record.EOFMid || r.Status != 101 {
		t.Errorf("%+v", r)
	}
}

func TestNoWebSocketHere(t *testing.T) {
	c := webSocketLoad(webSocketServer(t, echo), "")
	c.Targets[0].Path = "/elsewhere"
	for _, r := range first(t, c, 4) {
		if r.Outcome != record.UnexpectedStatus || r.Status != 404 || !strings.Contains(r.Detail, "does not take WebSocket connections") {
			t.Errorf("%+v", r)
		}
	}
}
