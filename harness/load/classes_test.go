package load

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Requests beyond the limit are skipped and counted; the others are sent.
func TestSkipped(t *testing.T) {
	for class, want := range map[record.Class]int{record.Pooled: 7, record.Blind: 7, record.New: 5, record.Slow: 5} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			release := make(chan struct{})
			s := startServer(t, func(c *serverConn) {
				for {
					if _, _, ok := c.request(); !ok {
						return
					}
					<-release
					c.say(good)
				}
			})
			c := config(s.address, class, 1000)
			c.Clients[0].MaxInFlight = 5
			if class == record.Pooled || class == record.Blind {
				c.Clients[0].Connections = 2
			}
			n := 0
			var end time.Time
			time.AfterFunc(300*time.Millisecond, func() {
				end = time.Now()
				cancel()
				// No request is answered before the schedule has ended, even if that is
				// late: an answer would make room for another request.
				time.Sleep(500 * time.Millisecond)
				close(release)
			})
			summary, err := Run(ctx, c, func(r record.Request) {
				if r.Due.Before(end) {
					n++
				}
				if r.Failed() {
					t.Errorf("%+v", r)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			got := summary.Clients[0]
			due := int(end.Sub(summary.Began).Seconds() * 1000)
			if n != want || got.Sent+got.Skipped < due {
				t.Errorf("of about %d due before the end, %d were sent; want %d; %d skipped", due, n, want, got.Skipped)
			}
		})
	}
}

// The kept connections take turns, and one whose end was announced is not used again.
func TestKeptConnectionsTakeTurns(t *testing.T) {
	s := startServer(t, func(c *serverConn) {
		for i := 0; i < 10; i++ {
			if _, _, ok := c.request(); !ok {
				return
			}
			if i == 9 {
				c.say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
				c.hold() // another request would get no answer
				return
			}
			c.say(good)
		}
	})
	c := config(s.address, record.Blind, 400)
	c.Clients[0].Connections = 5
	all, summary := runUntil(t, c, func(_ *record.Request, n int) bool { return n == 200 })
	uses := map[int]int{}
	for _, r := range all {
		if r.Failed() || r.CloseAnnounced != (r.ConnectionUse == 9) || (r.ConnectionUse > 0) != (r.ConnectionAge > 0) {
			t.Errorf("%+v", r)
		}
		uses[r.ConnectionUse]++
	}
	if opened := summary.Clients[0].Opened; uses[0] != opened || uses[9] < opened-5 || opened < len(all)/10 {
		t.Errorf("%d connections, requests by use: %v", opened, uses)
	}
}

// A client that looks takes another connection once the server's close has arrived, or
// something that it did not ask for. One that does not look loses its request, and the
// record says why.
func TestPooledLooks(t *testing.T) {
	for name, last := range map[string]string{"FIN": "", "a last message": "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"} {
		for _, class := range []record.Class{record.Pooled, record.Blind} {
			t.Run(name+"/"+string(class), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, func(c *serverConn) {
					if _, _, ok := c.request(); !ok {
						return
					}
					c.say(good)
					time.Sleep(20 * time.Millisecond) // the client has the response
					c.say(last)
				})
				all, summary := runUntil(t, config(s.address, class, 5), func(_ *record.Request, n int) bool { return n == 8 })
				lost := 0
				for i := range all {
					r := &all[i]
					if !r.Failed() {
						continue
					}
					lost++
					if last == "" && !r.OnlyBlind() {
						t.Errorf("%+v", r)
					}
				}
				stale := summary.Clients[0].Stale
				switch {
				case class == record.Pooled && (lost > 0 || stale < len(all)-1):
					t.Errorf("%d of %d lost; %d connections found closed", lost, len(all), stale)
				case class == record.Blind && (lost < len(all)/2-1 || stale > 0):
					t.Errorf("%d of %d lost; %d connections found closed", lost, len(all), stale)
				}
			})
		}
	}
}

// What responses say about their server is in the summary.
func TestSignature(t *testing.T) {
	s := startServer(t, func(c *serverConn) {
		if _, _, ok := c.request(); ok {
			c.say("HTTP/1.1 200 OK\r\nServer: nginx/1.29.1\r\nX-Powered-By: PHP/8.4\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n")
		}
	})
	_, summary := runUntil(t, config(s.address, record.New, 20), func(_ *record.Request, n int) bool { return n == 2 })
	want := record.Signature{Server: "nginx/1.29.1", PoweredBy: "PHP/8.4", KeepAlive: "timeout=5"}
	if got := summary.Clients[0].Server; got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
}

// Half of the new connections ask the server to close, the others close by themselves.
func TestNewConnectionsEndBothWays(t *testing.T) {
	var asked, hung atomic.Int64
	s := startServer(t, func(c *serverConn) {
		req, _, ok := c.request()
		if !ok {
			return
		}
		if req.Close { // counted first, since the run may end with the answer
			asked.Add(1)
		} else {
			hung.Add(1)
		}
		c.say(good)
		c.hold()
	})
	all, _ := runUntil(t, config(s.address, record.New, 200), func(_ *record.Request, n int) bool { return n == 40 })
	if a, h := int(asked.Load()), int(hung.Load()); a+h != len(all) || a-h < 0 || a-h > 1 {
		t.Errorf("%d asked for the close, %d hung up, of %d", a, h, len(all))
	}
}

// A server that ends its streams with a goodbye is asked for new ones at once, but not
// in a busy loop.
func TestStreamsAreOpenedAgain(t *testing.T) {
	s := startServer(t, func(c *serverConn) {
		if _, _, ok := c.request(); ok {
			c.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: goodbye\ndata: 1\n\n")
		}
	})
	all, _ := runUntil(t, config(s.address, record.Stream, 0), func(_ *record.Request, n int) bool { return n == 4 })
	for i, r := range all {
		if r.Failed() || r.Events != 1 {
			t.Errorf("%+v", r)
		}
		if i > 0 && r.Sent.Sub(all[i-1].End) < breath {
			t.Errorf("opened again after %v", r.Sent.Sub(all[i-1].End))
		}
	}
}
