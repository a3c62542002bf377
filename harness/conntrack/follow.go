package conntrack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// startTimeout bounds the wait until each connection is told of.
	startTimeout = 15 * time.Second
	// silence is how long the other side may say nothing.
	silence = 20 * time.Second
	maxLine = 4096
	// maxFlows bounds the memory of a trace; a flow takes about 60 bytes.
	maxFlows = 4_000_000
	// slack is how long before its connection a flow may be seen, and how long after
	// the end of its request: the two clocks are the same node's, but a busy host reads
	// late. Ports rest for much longer.
	slack = 5 * time.Second
)

// Dial connects to the pod.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// A Trace has the connections that were told of.
type Trace struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	flows   map[uint16][]Flow // by the client's port, in the order in which they came
	count   int
	missed  []time.Time // when some may have been missed
	problem error       // why the trace ended early
	ended   time.Time
}

// Follow collects what the [Handler] at address tells. It returns once each new
// connection is told of.
func Follow(ctx context.Context, dial Dial, address string, f Filter) (*Trace, error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	defer stop()
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: startTimeout,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return impatient{conn}, nil
		},
	}}
	req, err := http.NewRequestWithContext(life, http.MethodGet, "http://"+address+path+"?"+f.values().Encode(), nil)
	if err != nil {
		cancel()
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer cancel()
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxLine))
		_ = resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	t := &Trace{cancel: cancel, done: make(chan struct{}), flows: map[uint16][]Flow{}}
	ready := make(chan struct{})
	go func() {
		defer close(t.done)
		defer resp.Body.Close()
		err := t.collect(resp.Body, ready)
		t.mu.Lock()
		t.problem, t.ended = err, time.Now()
		t.mu.Unlock()
	}()
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-ready:
		return t, nil
	case <-t.done:
		err = t.Problem()
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = errors.New("it said nothing")
	}
	t.Close()
	return nil, err
}

// collect reads lines until the stream ends.
func (t *Trace) collect(body io.Reader, ready chan<- struct{}) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	lines.Split(wholeLines)
	told := false
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // heartbeat
		}
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return fmt.Errorf("it said what is no line of its protocol: %w", err)
		}
		switch {
		case l.Error != "":
			return errors.New(l.Error)
		case l.Ready && !told:
			told = true
			close(ready)
		case l.Missed:
			t.mu.Lock()
			t.missed = append(t.missed, time.Now())
			t.mu.Unlock()
		case l.Change != nil:
			t.change(*l.Change)
		case l.Flow != nil:
			if !t.add(*l.Flow) {
				return fmt.Errorf("there were more than %d connections", maxFlows)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("its connection broke: %w", err)
	}
	return errors.New("its connection ended")
}

// wholeLines is bufio.ScanLines, but for a last line without its end: when the collection is
// closed, the stream is cut anywhere.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if end := bytes.IndexByte(data, '\n'); end >= 0 {
		return end + 1, data[:end], nil
	}
	if atEOF {
		return len(data), nil, nil
	}
	return 0, nil, nil
}

func (t *Trace) add(f Flow) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count >= maxFlows {
		return false
	}
	if n := len(t.flows[f.From]); n > 0 && !f.Taken.IsZero() { // it is one of those that exist
		if last := &t.flows[f.From][n-1]; last.Client == f.Client && last.To == f.To && last.Gone.IsZero() {
			return true
		}
	}
	t.count++
	t.flows[f.From] = append(t.flows[f.From], f)
	return true
}

// change adds what became of a connection. One that began before the collection is not
// known, and what became of it is of no use without its begin.
func (t *Trace) change(c Flow) {
	t.mu.Lock()
	defer t.mu.Unlock()
	flows := t.flows[c.From]
	for i := len(flows) - 1; i >= 0; i-- {
		f := &flows[i]
		if f.Client != c.Client || f.To != c.To {
			continue
		}
		for _, one := range []struct {
			known *time.Time
			now   time.Time
		}{{&f.Taken, c.Taken}, {&f.Closed, c.Closed}, {&f.Ended, c.Ended}, {&f.Reset, c.Reset}, {&f.Gone, c.Gone}} {
			if one.known.IsZero() {
				*one.known = one.now
			}
		}
		return
	}
}

// Close ends the collection.
func (t *Trace) Close() {
	t.cancel()
	<-t.done
}

// Problem returns why the collection ended before Close; nil if it did not.
func (t *Trace) Problem() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if errors.Is(t.problem, context.Canceled) {
		return nil
	}
	return t.problem
}

// Len returns the number of connections.
func (t *Trace) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.count
}

// Flows calls yield for each connection; those of one port in the order in which they
// came.
func (t *Trace) Flows(yield func(Flow) bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, flows := range t.flows {
		for _, f := range flows {
			if !yield(f) {
				return
			}
		}
	}
}

// Find returns the connection from a port that was opened at a time, and that a request
// used which ended at another.
func (t *Trace) Find(port uint16, opened, ended time.Time) (Flow, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	flows := t.flows[port]
	for i := len(flows) - 1; i >= 0; i-- {
		if f := flows[i]; !f.At.After(ended.Add(slack)) {
			return f, !f.At.Before(opened.Add(-slack))
		}
	}
	return Flow{}, false
}

// Complete reports whether no connection from opened until ended can have been missed.
func (t *Trace) Complete(opened, ended time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended.IsZero() && t.ended.Before(ended) {
		return false
	}
	for _, at := range t.missed {
		if at.After(opened.Add(-slack)) && at.Before(ended.Add(slack)) {
			return false
		}
	}
	return true
}

// impatient is a connection whose reads time out after silence.
type impatient struct{ net.Conn }

func (c impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
