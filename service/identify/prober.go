// Package identify asks back ends who they are. A [Prober] is given questions by Set and
// Remove, asks them while Run runs, and reports identities to Options.Report.
//
// # When
//
// An endpoint is asked when it is new or its question changes, when its health recovers
// (Recovered), and once an hour; more often only while it answers nothing at all. An answer that refutes what the metadata say is asked for
// again after a minute, before it is believed: a proxy may have answered while the back end
// was restarting. Candidates wait for a place in the rate that Options.CandidatesPerMinute
// allows.
//
// # What is sent
//
// GET requests, for Kafka one ApiVersions request, and for an MCP server one or two requests
// by POST that call nothing (mcp.go), without credentials and cookies, to the addresses of
// the question alone. Redirects are not followed. Addresses are refused as
// for health checks (package outbound). At most Options.Concurrency endpoints are asked at
// once; each request, each identification and each body has a bound.
package identify

import (
	"context"
	"sync"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
	"kubernaut.io/dynamic-toolset/service/internal/schedule"
)

const (
	// maxTime is the time for all requests of one identification.
	maxTime = 30 * time.Second
	// firstRetry is when an endpoint is asked again that has answered nothing, such as one
	// whose pods are starting. The time doubles, up to Options.Interval.
	firstRetry = 15 * time.Second
)

// A Prober asks many endpoints who they are. Set, Remove, Recovered and Len may be called
// concurrently, also before Run.
type Prober struct {
	opts   Options
	dialer *outbound.Dialer
	wake   chan struct{}

	mu        sync.Mutex
	endpoints map[service.Key]*endpoint
	waiting   schedule.Queue[*endpoint]
	busy      int           // workers
	fresh     int           // endpoints, besides candidates, that were not asked yet
	settled   chan struct{} // closed when fresh is 0; nil if nobody waits
	newcomers schedule.Pace
	candidate schedule.Pace
}

// An endpoint is what the Prober knows about one key. It is in the queue, or a worker has it.
type endpoint struct {
	schedule.Item
	key      service.Key
	question service.Question
	gen      uint64             // number of changes of question
	cancel   context.CancelFunc // of the worker; nil if there is none
	removed  bool               // Remove was called, but a worker has it still
	fresh    bool               // its question was not asked yet; counted in Prober.fresh
	again    bool               // Recovered was called while a worker had it
	asked    time.Time          // when the last identification ended
	refuted  bool               // by the last identification
	silent   int                // identifications in a row without any answer
	reported *service.Identity  // the last; nil if there is none for this question
	admitted bool               // a candidate that has a place in the rate, when it is due
}

// New returns a Prober, or an error that names an option that is out of bounds.
func New(o Options) (*Prober, error) {
	if err := o.setDefaults(); err != nil {
		return nil, err
	}
	return &Prober{opts: o, dialer: outbound.NewDialer(o.AllowCIDRs, o.Resolver), wake: make(chan struct{}, 1), endpoints: map[service.Key]*endpoint{}}, nil
}

// Set adds an endpoint, or changes what to ask it. With the same question it does nothing.
func (p *Prober) Set(key service.Key, q service.Question) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.endpoints[key]
	switch {
	case e == nil:
		e = &endpoint{key: key}
		p.endpoints[key] = e
	case !e.removed && e.question.Equal(q):
		return
	}
	e.removed, e.admitted, e.question, e.refuted, e.silent, e.reported = false, false, q, false, 0, nil
	p.setFresh(e, q.Type != "")
	e.gen++
	if e.cancel != nil {
		e.cancel() // the worker puts it back into the queue
		return
	}
	p.enqueue(e, p.soon())
}

// Remove ends the questions to an endpoint. A call of Report for it may still be running
// when Remove returns.
func (p *Prober) Remove(key service.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.endpoints[key]
	switch {
	case e == nil, e.removed:
	case e.cancel != nil:
		p.setFresh(e, false)
		e.removed = true
		e.gen++
		e.cancel()
	default:
		p.setFresh(e, false)
		p.waiting.Remove(e)
		delete(p.endpoints, key)
	}
}

// Recovered tells that an endpoint is healthy which was not: it may be another back end
// now, or answer for the first time.
func (p *Prober) Recovered(key service.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.endpoints[key]
	switch {
	case e == nil, e.removed:
	case e.cancel != nil:
		e.again = true
	default:
		p.recover(e, time.Now())
	}
}

func (p *Prober) recover(e *endpoint, now time.Time) {
	at := now
	if e.reported != nil && e.reported.Verdict == service.Verified {
		at = e.asked.Add(p.opts.Rest)
		if at.Before(now) {
			at = now
		}
	}
	if e.Queued() && at.Before(e.Due()) {
		p.enqueue(e, at)
	}
}

// setFresh sets whether the question to e was not asked yet.
func (p *Prober) setFresh(e *endpoint, fresh bool) {
	switch {
	case fresh && !e.fresh:
		p.fresh++
	case !fresh && e.fresh:
		p.fresh--
	}
	e.fresh = fresh
	if p.fresh == 0 && p.settled != nil {
		close(p.settled)
		p.settled = nil
	}
}

// Settled returns when all endpoints, besides candidates, have been asked and reported once,
// or when ctx ends.
func (p *Prober) Settled(ctx context.Context) {
	p.mu.Lock()
	if p.fresh == 0 {
		p.mu.Unlock()
		return
	}
	if p.settled == nil {
		p.settled = make(chan struct{})
	}
	settled := p.settled
	p.mu.Unlock()
	select {
	case <-settled:
	case <-ctx.Done():
	}
}

// Len returns the number of endpoints.
func (p *Prober) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.endpoints {
		if !e.removed {
			n++
		}
	}
	return n
}

// Run asks until ctx ends, and returns when its goroutines have ended. It must be called at
// most once.
func (p *Prober) Run(ctx context.Context) {
	var workers sync.WaitGroup
	defer workers.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		timer.Reset(p.startDue(ctx, &workers))
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.wake:
		}
	}
}

// startDue starts what is due and has a worker. It returns how long to wait for the next
// one; a worker that becomes free wakes Run earlier.
func (p *Prober) startDue(ctx context.Context, workers *sync.WaitGroup) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for p.waiting.Len() > 0 && p.busy < p.opts.Concurrency {
		e := p.waiting.First()
		if wait := e.Due().Sub(now); wait > 0 {
			return wait
		}
		if !p.admit(e, now) {
			continue
		}
		p.waiting.Remove(e)
		p.busy++
		var asking context.Context
		asking, e.cancel = context.WithTimeout(ctx, maxTime)
		gen, question := e.gen, e.question
		workers.Go(func() { p.run(ctx, asking, e, gen, question) })
	}
	return time.Hour
}

// run asks an endpoint, reports, and puts it back into the queue.
func (p *Prober) run(ctx, asking context.Context, e *endpoint, gen uint64, q service.Question) {
	typ := q.Type
	if typ == "" {
		typ = "candidate"
	}
	a := &asker{dialer: p.dialer, roots: p.opts.RootCAs, timeout: p.opts.Timeout, sent: func(protocol string) { p.opts.OnRequest(typ, protocol) }}
	id := p.opts.Rules.Identify(asking, q, a)
	a.close()
	id.At = time.Now()

	p.mu.Lock()
	valid := e.gen == gen && ctx.Err() == nil
	next := p.opts.Interval
	var report *service.Identity
	if valid {
		report, next = p.conclude(e, &id)
	}
	p.mu.Unlock()

	if report != nil {
		p.opts.Report(e.key, *report)
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	p.busy--
	e.cancel()
	e.cancel = nil
	e.asked = id.At
	defer p.nudge()
	switch {
	case ctx.Err() != nil: // Run is ending
	case e.removed:
		delete(p.endpoints, e.key)
	case e.gen != gen:
		p.enqueue(e, p.soon())
	default:
		p.setFresh(e, false)
		p.enqueue(e, id.At.Add(next+schedule.Jitter(next/10)))
		if e.again {
			p.recover(e, id.At)
		}
	}
	e.again = false
}

// conclude returns what to report of an identification, and the time until the next one.
func (p *Prober) conclude(e *endpoint, id *service.Identity) (report *service.Identity, next time.Duration) {
	next = p.opts.Interval
	if id.Access.Scheme != "" {
		e.silent = 0
	} else if next = firstRetry << min(e.silent, 20); next < p.opts.Interval {
		e.silent++
	} else {
		next = p.opts.Interval
	}
	first := id.Verdict == service.Refuted && !e.refuted
	e.refuted = id.Verdict == service.Refuted
	switch {
	case first && e.reported != nil && e.reported.Verdict != service.Unverified:
		return nil, p.opts.Confirm // what was known stays for the minute
	case first:
		id.Verdict, next = service.Unverified, p.opts.Confirm
		id.Evidence = append(id.Evidence, "it will be asked again before that counts")
	case id.Verdict == service.Unverified && e.reported != nil && e.reported.Verdict == service.Verified:
		// No answer proves nothing: it is still what it was. Its health says the rest.
		return nil, next
	}
	e.reported = id
	return id, next
}

// soon returns when to ask an endpoint that is new or has another question.
func (p *Prober) soon() time.Time { return p.newcomers.Newcomer(time.Now(), p.opts.Interval) }

// admit reports whether e, which is due, may be asked now. A candidate gets a place in the
// rate, and waits for it.
func (p *Prober) admit(e *endpoint, now time.Time) bool {
	if e.question.Type != "" || e.admitted {
		e.admitted = false
		return true
	}
	at := p.candidate.Take(now, time.Minute/time.Duration(p.opts.CandidatesPerMinute))
	if !at.After(now) {
		return true
	}
	e.admitted = true
	p.enqueue(e, at)
	return false
}

// enqueue puts e into the queue, or moves it.
func (p *Prober) enqueue(e *endpoint, due time.Time) {
	p.waiting.Set(e, due)
	p.nudge()
}

// nudge makes Run call startDue.
func (p *Prober) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // a token is there already
	}
}
