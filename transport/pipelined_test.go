package transport_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// behindBodies are what may follow a request with a body in the same segment, and the
// expected statuses while the server stops; the last response announces the end. Requests
// behind a chunked body are not answered, and the response before them says so (RFC 9112,
// section 9.6): see docs/security.md.
var behindBodies = []struct {
	name, send string
	want       []int
}{
	{"a length", post("Content-Length: 2\r\n", "{}") + getList, []int{200, 200}},
	{"a length, and empty lines", post("Content-Length: 2\r\n", "{}") + "\r\n\n" + getList + "\r\n", []int{200, 200}},
	{"a body that nobody reads", get("/health", "Content-Length: 30\r\n") + strings.Repeat("\r\n\r\nGET / ", 3) + getList, []int{200, 200}},
	{"a body of what is refused", "POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n\r\n\r\n" + getList, []int{404, 200}},
	{"a large body", post("Content-Length: 100000\r\n", `{"a":"`+strings.Repeat("\r\n\r\n", 24998)) + `"}` + getList, []int{400, 200}},
	{"many", strings.Repeat(post("Content-Length: 2\r\n", "{}")+getList, 8), []int{200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 200}},
	{"half a request", post("Content-Length: 2\r\n", "{}") + getList[:20], []int{200, 200}},
	{"a byte", post("Content-Length: 2\r\n", "{}") + getList[:1], []int{200, 200}},
	{"nothing", post("Content-Length: 2\r\n", "{}"), []int{200}},
	{"only empty lines", post("Content-Length: 2\r\n", "{}") + "\r\n", []int{200}},
	{"chunks", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n") + getList, []int{200}},
}

// answersBehind sends each of behindBodies on a connection of its own.
func (f *fixture) answersBehind(when string, dial func() *rawClient) {
	f.t.Helper()
	for _, b := range behindBodies {
		c := dial()
		c.write(b.send)
		for i, want := range b.want {
			if b.name == "half a request" && i == 1 {
				c.write(getList[20:])
			}
			if b.name == "a byte" && i == 1 {
				c.write(getList[1:])
			}
			r, err := c.tryRead()
			if err != nil {
				f.t.Errorf("%s, %s: request %d is lost: %v", when, b.name, i+1, err)
				break
			}
			if last := i == len(b.want)-1; r.StatusCode != want || r.Close != last {
				f.t.Errorf("%s, %s: response %d: %d, want %d; close=%v, want %v", when, b.name, i+1, r.StatusCode, want, r.Close, last)
			}
		}
		if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			f.t.Errorf("%s, %s: then %q, %v", when, b.name, rest, err)
		}
	}
}

// A request behind one with a body is answered while the server stops, wherever the bytes
// of both are.
func TestTrapPipelinedBehindABody(t *testing.T) {
	var entered chan struct{}
	var release func()
	f := start(t, func(o *options) {
		entered, release = held(o)
		o.PropagationDelay, o.IdleGrace, o.DrainTimeout = time.Second, 10*time.Second, time.Minute
	})
	var early []*rawClient
	for range behindBodies {
		c := f.dial()
		c.write(getReady)
		c.read()
		early = append(early, c)
	}
	slow := f.dial() // keeps the drain from ending
	slow.write(postWait)
	<-entered
	done := f.stop()
	f.answersBehind("during the delay", f.dial)
	f.logged("Draining in-flight HTTP connections")
	f.answersBehind("during the drain", func() *rawClient {
		c := early[0]
		early = early[1:]
		return c
	})
	release()
	slow.read()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The same when a connection reaches its maximum age.
func TestMaxConnectionAgeBehindABody(t *testing.T) {
	f := start(t, func(o *options) { o.Limits.MaxConnectionAge = time.Millisecond })
	f.answersBehind("at the age", func() *rawClient {
		c := f.dial()
		time.Sleep(5 * time.Millisecond) // beyond the age
		return c
	})
}
