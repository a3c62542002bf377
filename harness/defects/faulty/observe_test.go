package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What a verifier can see of a defect.
const (
	keptLost      = "a request on a kept connection was not answered"
	notAnnounced  = "a response after SIGTERM does not say that the connection closes"
	refusedEarly  = "a new connection was refused during the propagation delay"
	newLost       = "a new connection was reset or closed before the response"
	slowCut       = "a slow response was cut in the middle"
	uploadLost    = "a slow upload was not answered"
	streamCut     = "a stream ended without a goodbye"
	readiness200  = "readiness is 200 after SIGTERM"
	livenessNot   = "liveness is not 200"
	probeLost     = "a probe was not answered"
	badStatus     = "an ordinary request was answered with an error"
	notProblem    = "an error is not a problem document"
	wrongExitCode = "the exit code is not 0"
	needsSIGKILL  = "the process does not end"
	wrongLog      = "the log lines are not those of DD-007"
)

const (
	delay = 700 * time.Millisecond
	// grace is when the tests send SIGKILL; a correct server needs about 3 s.
	grace = 9 * time.Second
	// slowTime is the duration of slow requests: they begin before SIGTERM and end in
	// the drain.
	slowTime = 2 * time.Second
)

var ddLines = []string{
	"Received shutdown signal",
	"Initiating DD-007 Kubernetes-aware graceful shutdown",
	"Shutdown flag set - readiness probe now returns 503",
	"Waiting for Kubernetes endpoint removal propagation",
	"Endpoint removal propagation complete",
	"Draining in-flight HTTP connections",
	"HTTP connections drained successfully",
	"Closing external resources (Kubernetes client)",
	"DD-007 Kubernetes-aware graceful shutdown complete",
}

// An observation is one shutdown under traffic of every kind.
type observation struct {
	*process
	termed chan struct{} // closed when SIGTERM is sent
	at     time.Time     // when
	wg     sync.WaitGroup

	mu   sync.Mutex
	seen map[string]string // what was seen, with an example
}

func (o *observation) saw(what, format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.seen[what]; !ok {
		o.seen[what] = fmt.Sprintf(format, args...)
	}
}

// sawIf records an error.
func (o *observation) sawIf(err error, what string) {
	if err != nil {
		o.saw(what, "%v", err)
	}
}

// flagged reports whether the server has said that its flag is set. What is sent from
// now on must be answered accordingly.
func (o *observation) flagged() bool { return o.has(ddLines[2]) }

// late reports whether more than a second has passed since SIGTERM.
func (o *observation) late() bool { return o.isTermed() && time.Since(o.at) > time.Second }

func (o *observation) isTermed() bool { return isClosed(o.termed) }

func (o *observation) over() bool { return isClosed(o.gone) }

// observe starts a server, stops it under traffic, and returns what was seen.
func observe(t *testing.T, args ...string) map[string]string {
	o := &observation{process: launch(t, append(args, "--propagation-delay="+delay.String())...),
		termed: make(chan struct{}), seen: make(map[string]string)}
	o.begin(o.stream, o.errors, o.fresh, o.quiet, o.quiet, o.quiet, o.busy, o.busy, o.busy)
	o.begin(o.slow, o.upload) // last, since their time is limited
	o.wg.Go(o.probes)
	o.at = time.Now()
	close(o.termed)
	o.signal(syscall.SIGTERM)

	code, err := o.exit(grace)
	if err != nil {
		o.saw(needsSIGKILL, "after %s", grace)
		o.signal(syscall.SIGKILL)
		<-o.gone
	} else if code != 0 {
		o.saw(wrongExitCode, "%d", code)
	}
	o.wg.Wait()
	if got := o.messages()[1:]; !slices.Equal(got, ddLines) {
		o.saw(wrongLog, "%s", strings.Join(got, "\n"))
	}
	return o.seen
}

// begin starts clients, and waits until each has received a first response, or a part
// of it.
func (o *observation) begin(clients ...func(begun func())) {
	var ready sync.WaitGroup
	for _, client := range clients {
		ready.Add(1)
		o.wg.Go(func() { client(sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
}

// ordinary records what is wrong with the response to an ordinary request, and reports
// whether the connection can be used again.
func (o *observation) ordinary(r *response, flagged bool) bool {
	if r.StatusCode != 200 {
		o.saw(badStatus, "%s", r.Status)
	}
	if flagged && !r.Close {
		o.saw(notAnnounced, "%s", r.Request.URL)
	}
	return !r.Close
}

// connect opens a connection before SIGTERM. If that fails, it records what and returns
// nil.
func (o *observation) connect(what string) *client {
	c, err := dial(o.addr)
	if err != nil {
		o.saw(what, "before SIGTERM: %v", err)
		return nil
	}
	return c
}

// quiet keeps a connection and uses it about once a second: once before SIGTERM, and
// once when the drain has begun.
func (o *observation) quiet(begun func()) {
	defer begun()
	c := o.connect(keptLost)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	if _, err := c.get("/"); err != nil {
		o.saw(keptLost, "before SIGTERM: %v", err)
		return
	}
	begun()
	<-o.termed
	o.logged(ddLines[5], 3*time.Second)
	time.Sleep(300 * time.Millisecond)
	flagged := o.flagged()
	r, err := c.get("/api/v1/toolsets")
	if err != nil {
		o.saw(keptLost, "quiet: %v", err)
		return
	}
	o.ordinary(r, flagged)
}

// busy uses a connection without pause until it is told to close.
func (o *observation) busy(begun func()) {
	defer begun()
	c := o.connect(keptLost)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	for {
		flagged := o.flagged()
		r, err := c.get("/")
		if err != nil {
			if !o.killed() {
				o.saw(keptLost, "busy: %v", err)
			}
			return
		}
		begun()
		if !o.ordinary(r, flagged) || o.late() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// killed reports whether a server that does not end is about to be killed.
func (o *observation) killed() bool { return o.isTermed() && time.Since(o.at) > grace-time.Second }

// fresh opens a connection for each request, at fixed times until a second after
// SIGTERM.
func (o *observation) fresh(begun func()) {
	defer begun()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ; !o.late(); <-tick.C {
		o.wg.Go(func() {
			if o.once() {
				begun()
			}
		})
	}
}

// once opens a connection for one request, and reports whether it was answered.
func (o *observation) once() bool {
	flagged := o.flagged()
	c, err := dial(o.addr)
	if err != nil {
		// The server waits from when it receives the signal. A client whose SYN is
		// ignored finds a second later that nobody listens.
		if !o.isTermed() || time.Since(o.at) < delay {
			o.saw(refusedEarly, "%v", err)
		}
		return false
	}
	defer c.Close() //nolint:errcheck // it was used
	r, err := c.get("/api/v1/toolsets")
	if err != nil {
		o.saw(newLost, "%v", err)
		return false
	}
	o.ordinary(r, flagged)
	return true
}

// slow has a response in flight during the shutdown.
func (o *observation) slow(begun func()) {
	defer begun()
	c := o.connect(slowCut)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	o.sawIf(c.send(get("/slow?for="+slowTime.String())), slowCut)
	if _, err := c.r.Peek(100); err != nil {
		o.saw(slowCut, "at its begin: %v", err)
		return
	}
	begun()
	r, err := c.receive()
	o.sawIf(err, slowCut)
	if err == nil && r.body != `{"begun":true,"finished":true}`+"\n" {
		o.saw(slowCut, "%q", r.body)
	}
}

// upload sends a body during the shutdown.
func (o *observation) upload(begun func()) {
	defer begun()
	c := o.connect(uploadLost)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	const parts = 20
	err := c.send(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 5*parts))
	if err == nil {
		_, err = c.receive() // 100: the server has begun to read the body
	}
	for range parts {
		if err == nil {
			err = c.send("hello")
		}
		begun()
		time.Sleep(slowTime / parts)
	}
	if err != nil {
		o.saw(uploadLost, "sending: %v", err)
		return
	}
	r, err := c.receive()
	o.sawIf(err, uploadLost)
	if err == nil && r.body != `{"length":100}`+"\n" {
		o.saw(uploadLost, "%q", r.body)
	}
}

// stream reads the events.
func (o *observation) stream(begun func()) {
	defer begun()
	c := o.connect(streamCut)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	o.sawIf(c.send(get("/events")), streamCut)
	if _, err := c.r.Peek(100); err != nil {
		o.saw(streamCut, "at its begin: %v", err)
		return
	}
	begun()
	r, err := c.receive() // complete, with its end
	o.sawIf(err, streamCut)
	if err == nil && (!strings.HasPrefix(r.body, "event: snapshot\n") || !strings.Contains(r.body, "\n\nevent: goodbye\n")) {
		o.saw(streamCut, "%q", r.body)
	}
}

// errors requests what does not exist.
func (o *observation) errors(begun func()) {
	defer begun()
	c := o.connect(badStatus)
	if c == nil {
		return
	}
	defer c.Close() //nolint:errcheck // it was used
	r, err := c.get("/nothing/here")
	if err != nil || r.StatusCode != 404 {
		o.saw(badStatus, "404: %v %v", r, err)
		return
	}
	o.sawIf(isProblem(r), notProblem)
}

// probes sends probes like a kubelet, each on a new connection.
func (o *observation) probes() {
	<-o.termed
	for !o.over() && !o.killed() {
		due := o.flagged() || o.late()
		for _, path := range []string{"/health/ready", "/health/live"} {
			c, err := dial(o.addr)
			if err != nil {
				return // the listener is closed, or the process has ended
			}
			r, err := c.get(path)
			c.Close() //nolint:errcheck // it was used
			switch {
			case err != nil:
				o.saw(probeLost, "%s: %v", path, err)
				return
			case path == "/health/live":
				if r.StatusCode != 200 {
					o.saw(livenessNot, "%s", r.Status)
				}
			case r.StatusCode == 503:
				o.sawIf(isProblem(r), notProblem)
			case due:
				o.saw(readiness200, "%s", r.Status)
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
