package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

var (
	short   = []record.Class{record.Pooled, record.Blind, record.New}
	answers = []record.Class{record.Pooled, record.Blind, record.New, record.Slow}
)

// Every way to lose a request has its outcome, in every class that can lose it that
// way, and a detail about the cause.
func TestOutcomes(t *testing.T) {
	// after answers a request with text and calls end. If end is hold, it answers other
	// requests on the connection in the same way.
	after := func(text string, end func(*serverConn)) func(*serverConn) {
		return func(c *serverConn) {
			for {
				if _, _, ok := c.request(); !ok {
					return
				}
				c.say(text)
				if end != nil {
					end(c)
					return
				}
			}
		}
	}
	fin := func(*serverConn) {}
	reset := (*serverConn).reset
	var hold func(*serverConn)
	const stream = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Pod: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	const sized = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Pod: a\r\nContent-Length: "
	const endless = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nX-Pod: a\r\n\r\n"
	const event = "9\r\ndata: x\n\n\r\n"

	tests := []struct {
		name    string
		server  func(*serverConn)
		classes []record.Class
		want    record.Outcome
		detail  string // part of it
		change  func(*Config)
		slack   bool // on a busy host the detail may be another one
	}{
		{name: "right", server: behave, classes: answers, want: record.OK},
		{name: "reset", server: after("", reset), classes: record.Classes, want: record.ResetBefore, detail: "reset by peer"},
		{name: "end", server: after("", fin), classes: record.Classes, want: record.EOFBefore, detail: "EOF"},
		{name: "end after the status", server: after("HTTP/1.1 20", fin), classes: record.Classes, want: record.EOFMid},
		{name: "end within the header", server: after("HTTP/1.1 200 OK\r\nContent-Le", fin), classes: record.Classes, want: record.EOFMid},
		{name: "reset within the header", server: after("HTTP/1.1 200 OK\r\nContent-Le", reset), classes: record.Classes, want: record.ResetMid},
		{name: "end within the body", server: after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", fin), classes: answers, want: record.EOFMid, detail: "status 200 and 3 bytes"},
		{name: "reset within the body", server: after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", reset), classes: answers, want: record.ResetMid, detail: "status 200 and 3 bytes"},
		{name: "end within a chunk", server: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", fin), classes: answers, want: record.EOFMid},
		{name: "end between chunks", server: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", fin), classes: answers, want: record.EOFMid},
		{name: "end before the last line", server: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n", fin), classes: answers, want: record.EOFMid},
		{name: "reset within a chunk", server: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", reset), classes: answers, want: record.ResetMid},
		{
			name: "silence", server: after("", hold), classes: short, want: record.ResponseTimeout,
			change: func(c *Config) { c.ResponseTimeout = 30 * time.Millisecond },
		}, {
			name: "silence where a stream is due", server: after("", hold), classes: []record.Class{record.Stream}, want: record.ResponseTimeout,
			change: func(c *Config) { c.ResponseTimeout = 30 * time.Millisecond },
		}, {
			name: "silence within the body", server: after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", hold), classes: answers,
			want: record.ResponseTimeout, detail: "status 200 and 3 bytes",
			change: func(c *Config) { c.ResponseTimeout = 30 * time.Millisecond }, slack: true,
		},
		{name: "another protocol", server: after("SSH-2.0-OpenSSH_9.2", hold), classes: record.Classes, want: record.Malformed, detail: "SSH-2.0"},
		{name: "HTTP/2", server: after("HTTP/2 200\r\n\r\n", hold), classes: record.Classes, want: record.Malformed, detail: "HTTP/2"},
		{name: "no status", server: after("HTTP/1.1 OK\r\n\r\n", hold), classes: record.Classes, want: record.Malformed},
		{name: "a header without a colon", server: after("HTTP/1.1 200 OK\r\nhello\r\n\r\n", hold), classes: record.Classes, want: record.Malformed},
		{name: "no chunk length", server: after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", hold), classes: answers, want: record.Malformed},
		{name: "two lengths", server: after("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", hold), classes: record.Classes, want: record.Malformed},
		{name: "too large a body", server: after("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"+strings.Repeat("x", maxResponse+8192), hold), classes: answers, want: record.Malformed, detail: "larger"},
		{name: "a large body", server: after(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", maxResponse, strings.Repeat("x", maxResponse)), fin), classes: answers, want: record.OK},
		{name: "too large a header", server: after("HTTP/1.1 200 OK\r\n"+strings.Repeat("A: b\r\n", maxHeader/6+1), hold), classes: record.Classes, want: record.Malformed, detail: "larger"},
		{name: "more than the response", server: after(good+"{}", hold), classes: answers, want: record.Malformed, detail: "2 bytes followed"},
		{name: "interim responses without end", server: after(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100), hold), classes: record.Classes, want: record.Malformed, detail: "interim"},
		{name: "interim responses", server: after("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"+good, fin), classes: answers, want: record.OK},
		{name: "HTTP/1.0", server: after("HTTP/1.0 200 OK\r\n\r\n{}", fin), classes: answers, want: record.OK},
		{
			name: "an error", server: after("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\ngo away\r\n", hold),
			classes: record.Classes, want: record.UnexpectedStatus, detail: `status 503: "go away\r\n"`,
		}, {
			name: "an error where problems are promised", server: after("HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\ngo away", hold),
			classes: record.Classes, want: record.UnexpectedStatus, detail: `no problem document (its type is "text/plain"`,
			change: func(c *Config) { c.Problems = true },
		},
		{name: "a redirection", server: after("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", hold), classes: record.Classes, want: record.UnexpectedStatus, detail: "302"},
		{name: "not modified", server: after("HTTP/1.1 304 Not Modified\r\n\r\n", hold), classes: answers, want: record.OK},
		{
			name: "success where 404 is right", server: behave, classes: answers, want: record.UnexpectedStatus, detail: "status 200",
			change: func(c *Config) { c.Targets[0].ExpectStatus = 404 },
		}, {
			name: "an error without a problem", server: after("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope", hold), classes: answers, want: record.NotProblem, detail: "nope",
			change: func(c *Config) { c.Targets[0].ExpectStatus, c.Targets[0].ExpectProblem = 404, true },
		}, {
			name: "no JSON", server: after("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{}}", hold), classes: answers, want: record.WrongBody, detail: "not JSON",
			change: func(c *Config) { c.Targets[0].ExpectJSON = true },
		}, {
			name: "JSON by another name", server: after("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\n{}", hold), classes: answers, want: record.WrongBody, detail: "text/html",
			change: func(c *Config) { c.Targets[0].ExpectJSON = true },
		}, {
			name: "JSON", server: behave, classes: answers, want: record.OK,
			change: func(c *Config) { c.Targets[0].ExpectJSON = true },
		},
		{name: "no stream", server: after(good, hold), classes: []record.Class{record.Stream}, want: record.WrongBody, detail: "text/event-stream"},
		{name: "an error cut short", server: after("HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nabc", fin), classes: record.Classes, want: record.EOFMid, detail: "500"},
		{name: "a stream ended in order", server: after(stream+event+"0\r\n\r\n", fin), classes: []record.Class{record.Stream}, want: record.OK},
		{
			name: "a stream ended in order that should have said goodbye", server: after(stream+event+"0\r\n\r\n", fin), classes: []record.Class{record.Stream},
			want: record.StreamBroken, detail: "after 1 events: the stream ended in good order", change: mustSayGoodbye,
		},
		{name: "a stream that is as long as it said", server: after(sized+"8\r\n\r\ndata: 1\n", fin), classes: []record.Class{record.Stream}, want: record.OK},
		{name: "a stream that is shorter than it said", server: after(sized+"9\r\n\r\ndata: 1\n", fin), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "EOF"},
		{name: "a stream whose end can't be told", server: after(endless+"data: 1\n\n", fin), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "after 1 events: the connection was closed"},
		{name: "a stream ended", server: after(stream+event, fin), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "EOF"},
		{name: "a stream reset", server: after(stream+event, reset), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "reset"},
		{name: "a stream garbled", server: after(stream+event+"zz\r\n", hold), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "chunk"},
		{
			name: "a stream gone silent", server: after(stream+event, hold), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "after 1 events: no byte for 40ms",
			change: func(c *Config) { c.StreamIdleTimeout = 40 * time.Millisecond },
		},
		{name: "a goodbye that is none", server: after(stream+"20\r\ndata: event: goodbye\n\n: goodbye \r\n0\r\n\r\n", fin), classes: []record.Class{record.Stream}, want: record.StreamBroken, detail: "after 1 events: the stream ended in good order", change: mustSayGoodbye},
		{name: "a stream with a goodbye", server: after(stream+event+"1a\r\nevent: goodbye\ndata: {}\n\n\r\n0\r\n\r\n", fin), classes: []record.Class{record.Stream}, want: record.OK},
		{name: "a stream reset after its goodbye", server: after(stream+event+"1a\r\nevent: goodbye\ndata: {}\n\n\r\n", reset), classes: []record.Class{record.Stream}, want: record.OK},
		{
			name: "another farewell", server: after(stream+"11\r\nevent: end\ndata\n\n\r\n", fin), classes: []record.Class{record.Stream}, want: record.OK,
			change: func(c *Config) { c.Goodbye = "end" },
		},
	}
	for _, test := range tests {
		for _, class := range test.classes {
			t.Run(test.name+"/"+string(class), func(t *testing.T) {
				t.Parallel()
				s := startServer(t, test.server)
				c := config(s.address, class, 100)
				if test.change != nil {
					test.change(&c)
				}
				if class != record.Stream {
					c.Clients[0].MaxInFlight = 4 // one is enough
				}
				if test.slack {
					runUntil(t, c, func(r *record.Request, _ int) bool {
						if r.Outcome != test.want {
							t.Errorf("%q, detail %q; want %q", r.Outcome, r.Detail, test.want)
						}
						return strings.Contains(r.Detail, test.detail)
					})
					return
				}
				r := first(t, c, 1)[0]
				if r.Outcome != test.want || !strings.Contains(r.Detail, test.detail) {
					t.Fatalf("%q, detail %q; want %q with %q", r.Outcome, r.Detail, test.want, test.detail)
				}
				if r.Class != class || r.Method != "GET" || r.Sent.Before(r.Due) || r.End.Before(r.Sent) {
					t.Errorf("%+v", r)
				}
				if r.Failed() != (r.Local != "") || r.Failed() != (r.Detail != "") {
					t.Errorf("failed: %v, but the client's address is %q and the detail %q", r.Failed(), r.Local, r.Detail)
				}
			})
		}
	}
}

func mustSayGoodbye(c *Config) { c.MustSayGoodbye = true }

// The outcomes of a dial.
func TestDialOutcomes(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := nobody.Addr().String()
	nobody.Close()
	never := func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	for _, test := range []struct {
		name string
		dial func(context.Context, string, string) (net.Conn, error)
		want record.Outcome
	}{
		{"nobody listens", nil, record.Refused},
		{"no answer", never, record.DialTimeout},
		{"no answer to the kernel", failingDial(syscall.ETIMEDOUT), record.DialTimeout},
		{"no route", failingDial(syscall.EHOSTUNREACH), record.DialFailed},
		{"no network", failingDial(syscall.ENETUNREACH), record.DialFailed},
	} {
		for _, class := range record.Classes {
			t.Run(test.name+"/"+string(class), func(t *testing.T) {
				t.Parallel()
				c := config(address, class, 100)
				c.Dial, c.DialTimeout = test.dial, 30*time.Millisecond
				for _, r := range first(t, c, 2) {
					if r.Outcome != test.want || r.Detail == "" || r.Status != 0 {
						t.Errorf("%+v; want %q", r, test.want)
					}
				}
			})
		}
	}
}

// If the generator itself has run out of something, the run fails, as this says nothing
// about the server.
func TestOwnFaultFailsTheRun(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.EADDRNOTAVAIL} {
		c := config("127.0.0.1:1", record.New, 100)
		c.Dial = failingDial(errno)
		ctx, cancel := context.WithCancel(context.Background())
		_, err := Run(ctx, c, func(r record.Request) {
			if r.Outcome != record.DialFailed || !strings.Contains(r.Detail, "own fault") {
				t.Errorf("%+v", r)
			}
			cancel()
		})
		cancel()
		if !errors.Is(err, errno) {
			t.Errorf("%v: the run ended with %v", errno, err)
		}
	}
}

// If the server has closed or reset a kept connection, the request is sent all the same
// and is lost. The record says why, and which pod it was.
func TestSentAfterClose(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(*serverConn)
		want record.Outcome
	}{
		"closed": {func(c *serverConn) { c.Close() }, record.EOFBefore},
		"reset":  {(*serverConn).reset, record.ResetBefore},
	} {
		t.Run(name, func(t *testing.T) {
			ended := make(chan bool)
			s := startServer(t, func(c *serverConn) {
				c.request()
				c.say(good)
				<-ended // the client has the response by then
				test.end(c)
				ended <- true
			})
			conn, err := net.Dial("tcp", s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c := newConnection(conn, time.Now())
			cfg := config(s.address, record.Blind, 1)
			j := &job{message: newMessage(&cfg, &Target{Method: "GET", Path: "/"}, record.Blind)}
			r := record.Request{Class: record.Blind, Sent: time.Now()}
			if !c.exchange(j, patience, "X-Pod", &r) || r.Pod != "a" || r.Inferred || r.SentAfterClose || r.ConnectionUse != 0 {
				t.Fatalf("the first request: %+v", r)
			}
			ended <- true
			<-ended
			r = record.Request{Class: record.Blind, Sent: time.Now()}
			if c.exchange(j, patience, "X-Pod", &r) {
				t.Error("another request is to follow")
			}
			if r.Outcome != test.want || !r.SentAfterClose || r.Pod != "a" || !r.Inferred || r.ConnectionUse != 1 || r.ConnectionAge <= 0 {
				t.Errorf("%+v; want %q", r, test.want)
			}
		})
	}
}

// A server may answer and close without reading all of a request. Its answer counts,
// though the client's write failed.
func TestAnswerBeforeTheWholeRequest(t *testing.T) {
	s := startServer(t, func(c *serverConn) {
		if _, err := c.r.Peek(1); err == nil {
			c.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		} // unread bytes make the close a reset
	})
	c := config(s.address, record.New, 20)
	c.Targets[0].Method, c.Targets[0].Body = "POST", strings.Repeat("x", maxBody)
	for _, r := range first(t, c, 5) {
		if r.Outcome != record.UnexpectedStatus || r.Status != 413 {
			t.Errorf("%+v", r)
		}
	}
}

// If there is no answer, the outcome is a reset, whatever error the write returned.
func TestResetWhileSending(t *testing.T) {
	s := startServer(t, func(c *serverConn) {
		if _, err := c.r.Peek(1); err == nil {
			c.reset()
		}
	})
	c := config(s.address, record.New, 20)
	c.Targets[0].Method, c.Targets[0].Body = "POST", strings.Repeat("x", maxBody)
	for _, r := range first(t, c, 5) {
		if r.Outcome != record.ResetBefore {
			t.Errorf("%+v", r)
		}
	}
}

// Failed reads as a real socket seldom has them.
func TestLostOutcome(t *testing.T) {
	broken := errors.New("malformed")
	for _, test := range []struct {
		wire        error
		before, mid record.Outcome
	}{
		{nil, record.Malformed, record.Malformed},
		{errTooLarge, record.Malformed, record.Malformed},
		{io.EOF, record.EOFBefore, record.EOFMid},
		{syscall.ECONNRESET, record.ResetBefore, record.ResetMid},
		{syscall.EPIPE, record.ResetBefore, record.ResetMid},
		{syscall.EHOSTUNREACH, record.ResetBefore, record.ResetMid},
		{syscall.ETIMEDOUT, record.ResponseTimeout, record.ResponseTimeout},
		{context.DeadlineExceeded, record.ResponseTimeout, record.ResponseTimeout},
	} {
		wire := test.wire
		if wire != nil && wire != io.EOF {
			wire = fmt.Errorf("read: %w", wire)
		}
		if before, mid := lostOutcome(broken, wire, false), lostOutcome(broken, wire, true); before != test.before || mid != test.mid {
			t.Errorf("%v: %q and %q; want %q and %q", test.wire, before, mid, test.before, test.mid)
		}
	}
	if !slices.Contains(record.Failures, record.Malformed) {
		t.Error("an outcome is not among the failures")
	}
}
