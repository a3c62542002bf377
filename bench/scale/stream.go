package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A stream reads /api/v1/toolsets/watch, as an agent does, and records when it receives each
// change.
type stream struct {
	cancel context.CancelFunc
	ended  chan struct{}
	events events
	err    error
}

// events has the events of each toolset in their order, by namespace/name.
type events map[string][]event

type event struct {
	at   time.Time
	data string
}

// settleTime is how long to wait for events after the last change was visible in a lookup.
const settleTime = time.Second

func follow(base string) (*stream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/toolsets/watch", nil)
	if err != nil {
		cancel()
		return nil, err
	}
	res, err := (&http.Client{Transport: &http.Transport{}}).Do(req)
	if err != nil {
		cancel()
		return nil, err
	}
	if res.StatusCode != http.StatusOK {
		cancel()
		return nil, errors.Join(fmt.Errorf("the event stream answered %s", res.Status), res.Body.Close())
	}
	s := &stream{cancel: cancel, ended: make(chan struct{}), events: events{}}
	lines := bufio.NewReaderSize(res.Body, 1<<20)
	// The first event has all toolsets.
	if err := skip(lines, "event: snapshot"); err != nil {
		cancel()
		return nil, errors.Join(err, res.Body.Close())
	}
	go func() {
		defer close(s.ended)
		defer res.Body.Close() //nolint:errcheck // it was read
		s.read(lines)
	}()
	return s, nil
}

// skip reads one event, which must begin with the line first.
func skip(lines *bufio.Reader, first string) error {
	line, err := lines.ReadString('\n')
	if err == nil && strings.TrimSpace(line) != first {
		return fmt.Errorf("the event stream begins with %.80q, not with %q", line, first)
	}
	for err == nil && line != "\n" {
		line, err = lines.ReadString('\n')
	}
	return err
}

func (s *stream) read(lines *bufio.Reader) {
	kind := ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			s.err = err
			return
		}
		switch field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); field {
		case "event":
			kind = value
		case "data":
			switch kind {
			case "change":
				s.events.add(time.Now(), value)
			case "snapshot":
				s.err = errors.New("the event stream sent the whole list again: it had lost changes")
				return
			}
		}
	}
}

func (e events) add(at time.Time, data string) {
	key := between(data, `"namespace":"`) + "/" + between(data, `"name":"`)
	e[key] = append(e[key], event{at, data})
}

// between returns what is between before and the next quotation mark.
func between(text, before string) string {
	_, rest, _ := strings.Cut(text, before)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// first returns when the first event for a change was received.
func (e events) first(c *change) (time.Time, bool) {
	for _, ev := range e[c.namespace+"/"+c.name] {
		removed := strings.HasPrefix(ev.data, `{"change":"removed"`)
		if removed == c.gone && strings.Contains(ev.data, c.shows) {
			return ev.at, true
		}
	}
	return time.Time{}, false
}

// end waits for the last events, closes the stream and returns all events.
func (s *stream) end() (events, error) {
	select {
	case <-s.ended:
		return nil, fmt.Errorf("the event stream ended early: %w", s.err)
	case <-time.After(settleTime):
	}
	s.close()
	return s.events, nil
}

func (s *stream) close() {
	s.cancel()
	<-s.ended
}
