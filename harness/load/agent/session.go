package agent

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
	"sync/atomic"
	"time"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// silence is how long the agent may be silent before it counts as gone. It is many
	// heartbeats, as they may be late on a busy host.
	silence = 20 * time.Second
	// answerTimeout bounds the wait for the answer to a command.
	answerTimeout = 15 * time.Second
	// maxLine bounds a line.
	maxLine = 4 << 20
)

// Dial connects to the agent.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Session is a load that an agent runs.
type Session struct {
	url    string
	client *http.Client
	cancel context.CancelFunc

	stopping atomic.Bool
	done     chan struct{} // closed after summary and err are set
	summary  load.Summary
	err      error
}

// Start has the agent at address begin the load, and returns when it has begun. emit is
// called for each request, one call at a time, until the session is done. If ctx ends,
// the session ends in an error.
func Start(ctx context.Context, dial Dial, address string, config load.Config, emit func(record.Request)) (*Session, error) {
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("the load's configuration: %w", err)
	}
	body, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Session{
		url: "http://" + address, cancel: cancel, done: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: answerTimeout,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, answerTimeout)
				defer cancel()
				conn, err := dial(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return impatient{conn, silence}, nil
			},
		}},
	}
	resp, err := s.post(ctx, "/run", body)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("the agent at %s did not begin the load: %w", address, err)
	}
	go func() {
		defer close(s.done)
		defer cancel()
		defer resp.Body.Close()
		s.summary, s.err = s.receive(resp.Body, emit)
		if s.err != nil {
			s.err = fmt.Errorf("the load of the agent at %s is not complete: %w", address, s.err)
		}
	}()
	return s, nil
}

// post sends a command. A status other than 2xx is an error.
func (s *Session) post(ctx context.Context, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", resp.Status, err)
	}
	return nil, fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(string(text)))
}

// receive reads the lines of a run until the last.
func (s *Session) receive(body io.Reader, emit func(record.Request)) (load.Summary, error) {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	received := 0
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue // heartbeat
		}
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return load.Summary{}, fmt.Errorf("it said what is no line of its protocol: %w", err)
		}
		switch {
		case l.Error != "":
			return load.Summary{}, errors.New(l.Error)
		case l.Summary != nil:
			return *l.Summary, s.check(l.Summary, received)
		case l.Request != nil:
			received++
			emit(*l.Request)
		}
	}
	if err := lines.Err(); err != nil {
		return load.Summary{}, fmt.Errorf("its connection broke: %w", err)
	}
	return load.Summary{}, errors.New("its connection ended without a summary")
}

// check returns an error if the summary is not that of a complete run.
func (s *Session) check(summary *load.Summary, received int) error {
	sent := 0
	for _, c := range summary.Clients {
		sent += c.Sent
	}
	switch {
	case !s.stopping.Load():
		return errors.New("it ended by itself")
	case sent != received:
		return fmt.Errorf("it sent %d requests and told us of %d", sent, received)
	}
	return nil
}

// Done returns a channel that is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns the error in which the session ended; nil before its end.
func (s *Session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop ends the load, and waits until the agent has sent everything that was in flight,
// or until ctx ends. An error means that the run is not complete.
func (s *Session) Stop(ctx context.Context) (load.Summary, error) {
	s.stopping.Store(true)
	select {
	case <-s.done: // this error says more than the answer to a stop would
		return s.summary, s.err
	default:
	}
	resp, err := s.post(ctx, "/stop", nil)
	if err != nil {
		s.cancel()
		<-s.done
		return s.summary, errors.Join(fmt.Errorf("the agent was not reached to stop the load: %w", err), s.err)
	}
	_ = resp.Body.Close() // its body is empty
	select {
	case <-s.done:
		return s.summary, s.err
	case <-ctx.Done():
		s.cancel()
		<-s.done
		return s.summary, fmt.Errorf("the agent did not end the load in time: %w", ctx.Err())
	}
}

// impatient is a connection whose reads time out after silence.
type impatient struct {
	net.Conn
	silence time.Duration
}

func (c impatient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}
