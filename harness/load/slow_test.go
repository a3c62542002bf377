package load

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func uploads(address string) Config {
	c := config(address, record.Slow, 20)
	c.Clients[0].MaxInFlight = 4
	c.Targets[0] = Target{Method: "POST", Path: "/", Body: strings.Repeat("0123456789", 10), SlowUpload: true, Classes: []record.Class{record.Slow}}
	return c
}

// A slow upload sends its header at once, and its body in pieces until its time is
// over.
func TestSlowUpload(t *testing.T) {
	type seen struct {
		pieces int
		body   string
		length int64
	}
	var mu sync.Mutex
	var all []seen
	s := startServer(t, func(c *serverConn) {
		for {
			req, err := http.ReadRequest(c.r)
			if err != nil {
				return
			}
			var one seen
			one.length = req.ContentLength
			buf := make([]byte, 1000)
			for {
				n, err := req.Body.Read(buf)
				one.body += string(buf[:n])
				if n > 0 {
					one.pieces++
				}
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
			mu.Lock()
			all = append(all, one)
			mu.Unlock()
			c.say(good)
		}
	})
	records, summary := runUntil(t, uploads(s.address), func(_ *record.Request, n int) bool { return n == 8 })
	for _, r := range records {
		if r.Failed() || r.End.Sub(r.Sent) < shortest {
			t.Errorf("%v: %+v", r.End.Sub(r.Sent), r)
		}
	}
	for _, one := range all {
		if one.length != 100 || one.body != strings.Repeat("0123456789", 10) || one.pieces < 2 {
			t.Errorf("%+v", one)
		}
	}
	if c := summary.Clients[0]; c.Opened >= c.Sent || c.Early != 0 {
		t.Errorf("no connection was kept: %+v", c)
	}
	s.waitClosed(t)
}

// If the server answers or closes in the middle of an upload, this ends at once.
func TestUploadInterrupted(t *testing.T) {
	for name, test := range map[string]struct {
		do     func(*serverConn)
		want   record.Outcome
		status int
		early  bool
	}{
		"answered":  {func(c *serverConn) { c.say(good); c.hold() }, record.OK, 200, true},
		"turned":    {func(c *serverConn) { c.say("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"); c.hold() }, record.UnexpectedStatus, 503, false},
		"closed":    {func(*serverConn) {}, record.EOFBefore, 0, false},
		"reset":     {(*serverConn).reset, record.ResetBefore, 0, false},
		"garbled":   {func(c *serverConn) { c.say("hello"); c.hold() }, record.Malformed, 0, false},
		"cut short": {func(c *serverConn) { c.say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc") }, record.EOFMid, 200, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, func(c *serverConn) {
				if req, err := http.ReadRequest(c.r); err == nil {
					if test.want != record.ResetBefore && test.want != record.OK {
						// If nothing is unread, the close is not a reset.
						_, _ = io.ReadFull(req.Body, make([]byte, 1))
					}
					test.do(c)
				}
			})
			c := uploads(s.address)
			c.Clients[0].Duration = time.Minute // the test does not wait that long
			records, summary := runUntil(t, c, func(r *record.Request, n int) bool { return n == 8 })
			for _, r := range records {
				if r.Outcome != test.want || r.Status != test.status || r.ConnectionUse != 0 {
					t.Errorf("%+v; want %q", r, test.want)
				}
			}
			if early := summary.Clients[0].Early; (early == len(records)) != test.early || !test.early && early != 0 {
				t.Errorf("%d were early", early)
			}
		})
	}
}

// The durations fill their range evenly from any starting point, so that some requests
// are always in flight.
func TestDurationsAreEven(t *testing.T) {
	const longest = 9 * time.Second
	for begin := range 1000 {
		var d []time.Duration
		for i := range 16 {
			d = append(d, durationOf(begin+i, longest))
		}
		slices.Sort(d)
		if d[0] < shortest || d[15] > longest {
			t.Fatalf("from %d: %v", begin, d)
		}
		for i := 1; i < 16; i++ {
			if gap := d[i] - d[i-1]; gap > 2*(longest-shortest)/16 {
				t.Fatalf("from %d: nothing between %v and %v", begin, d[i-1], d[i])
			}
		}
	}
	if d := durationOf(7, shortest); d != shortest {
		t.Error(d)
	}
}
