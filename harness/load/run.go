package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load/internal/ports"
	"kubernaut.io/dynamic-toolset/harness/load/internal/schedule"
	"kubernaut.io/dynamic-toolset/harness/load/rpc"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// Summary is what the load generator reports about itself.
type Summary struct {
	Began time.Time `json:"began"`
	// Stopped is when ctx ended. Requests in flight were finished after that.
	Stopped time.Time       `json:"stopped"`
	Ended   time.Time       `json:"ended"`
	Clients []record.Client `json:"clients"`
}

// Run sends the load until ctx ends. Then it waits for requests in flight, which takes
// no longer than the timeouts and the longest slow request. It calls emit for each
// request that has ended, one call at a time. emit must be quick, as it holds up the
// load.
//
// An error means that the load was not as configured: the configuration is invalid, or
// the generator itself failed. A lost request is not an error.
func Run(ctx context.Context, c Config, emit func(record.Request)) (Summary, error) {
	if err := c.Validate(); err != nil {
		return Summary{}, fmt.Errorf("the load's configuration: %w", err)
	}
	r := &run{Config: c.withDefaults(), emit: emit}
	if err := r.prepareTLS(); err != nil {
		return Summary{}, fmt.Errorf("the load's configuration: %w", err)
	}
	if r.PortRest > 0 {
		r.ports = sourcePorts()
	}
	if err := r.prepareGRPC(ctx); err != nil {
		return Summary{}, err
	}
	r.begin = time.Now()
	defer context.AfterFunc(ctx, func() { r.stopped.Store(time.Now().UnixNano()) })()
	tallies := make([]tally, len(r.Clients))
	var classes sync.WaitGroup
	for i := range r.Clients {
		client, t := r.Clients[i], &tallies[i]
		ch := newChoice(&r.Config, client.Class)
		classes.Go(func() {
			switch {
			case r.multiplexes():
				r.multiplexed(ctx, client, ch, t)
				return
			case r.Protocol == record.WebSocket:
				r.websockets(ctx, client, ch, t)
				return
			}
			switch client.Class {
			case record.Pooled, record.Blind:
				r.kept(ctx, client, ch, t)
			case record.New:
				r.fresh(ctx, client, ch, t)
			case record.Slow:
				r.slow(ctx, client, ch, t)
			case record.Stream:
				r.streams(ctx, client, ch, t)
			}
		})
	}
	<-ctx.Done()
	stopped := time.Now()
	classes.Wait()
	s := Summary{Began: r.begin, Stopped: stopped, Ended: time.Now()}
	for i, client := range r.Clients {
		c := tallies[i].summary(client)
		if c.Server == (record.Signature{}) {
			c.Server = r.server
		}
		s.Clients = append(s.Clients, c)
	}
	return s, r.failure
}

// A run is a load in progress.
type run struct {
	Config
	tls     *tls.Config            // nil: without TLS
	methods map[string]*rpc.Method // of gRPC, by path
	begin   time.Time
	ports   *ports.Pool  // nil: the kernel chooses them
	stopped atomic.Int64 // when ctx ended, in ns since 1970; 0 before that

	mu      sync.Mutex // guards failure, and calls of emit
	emit    func(record.Request)
	failure error // the first failure of the generator itself
	// server is what the first response said about its server, in protocols that are not the
	// raw wire.
	server     record.Signature
	recognised sync.Once
}

// A tally counts what a client class did.
type tally struct {
	sent, skipped, opened, early, noPort, stale atomic.Int64
	late                                        schedule.Lateness
	server                                      record.Signature // guarded by run.mu
}

func (t *tally) summary(c Client) record.Client {
	return record.Client{
		Class: c.Class, Rate: c.Rate, Connections: c.Connections, Duration: c.Duration,
		Late: t.late.Percentile(99), Skipped: int(t.skipped.Load()), Sent: int(t.sent.Load()),
		Opened: int(t.opened.Load()), Early: int(t.early.Load()), NoPort: int(t.noPort.Load()), Stale: int(t.stale.Load()), Server: t.server,
	}
}

// report counts and emits a request that has ended. One without an end was not sent, since
// there was no source port.
func (r *run) report(req *record.Request, t *tally, c *connection) {
	if req.End.IsZero() {
		return
	}
	t.sent.Add(1)
	if c != nil && (req.Failed() || req.Pod == "" && r.PortRest > 0) {
		req.Local = c.LocalAddr().String()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c != nil && t.server == (record.Signature{}) {
		t.server = c.server
	}
	r.emit(*req)
}

// tooLate reports whether ctx ended so long ago that requests that still wait for a
// connection must be given up.
func (r *run) tooLate() bool {
	at := r.stopped.Load()
	return at != 0 && time.Since(time.Unix(0, at)) > r.DialTimeout+r.ResponseTimeout
}

// failed records the first failure of the generator itself.
func (r *run) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.failure == nil {
		r.failure = fmt.Errorf("the load generator itself failed (if it ran out of files or ports: raise `ulimit -n`, widen net.ipv4.ip_local_port_range, or lower the rate): %w", err)
	}
}

// serve sends the job on c, or on a new connection if c is nil, and reports the
// outcome. It returns the connection if another request can follow; otherwise it closes
// it and returns nil. If there is no source port for a new connection, nothing is sent,
// and the request is nil, too.
func (r *run) serve(ctx context.Context, class record.Class, c *connection, j *job, t *tally) (*connection, *record.Request) {
	req := &record.Request{Class: class, Protocol: r.Protocol, Due: j.due, Sent: time.Now(), Method: j.Method, Path: j.path(j.duration)}
	if c != nil && looks(class) && (c.hasClosed() || c.saidUnasked()) {
		t.stale.Add(1)
		hangUp(c)
		c = nil
	}
	if c == nil {
		var err error
		if c, err = r.dial(ctx, req, t); err != nil {
			return nil, nil
		}
		if c == nil {
			r.report(req, t, nil)
			return nil, req
		}
	}
	again := c.exchange(j, r.ResponseTimeout, r.PodHeader, req)
	r.report(req, t, c)
	if !again {
		hangUp(c)
		return nil, req
	}
	return c, req
}

// looks reports whether clients of a class look, before they send on a kept connection,
// whether the server has closed it.
func looks(class record.Class) bool { return class != record.Blind }

func hangUp(c net.Conn) { _ = c.Close() } // nothing can be lost any more
