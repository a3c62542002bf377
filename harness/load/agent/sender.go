package agent

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

const (
	// flushEvery bounds the time that a request waits to be sent.
	flushEvery = 100 * time.Millisecond
	// heartbeat is the longest time that the agent is silent.
	heartbeat = time.Second
	// sendTimeout bounds a write to the harness.
	sendTimeout = 30 * time.Second
)

// A sender writes lines to the harness. After an error it writes nothing.
type sender struct {
	control *http.ResponseController
	buf     *bufio.Writer
	json    *json.Encoder
	spoke   time.Time
	err     error
}

func newSender(w http.ResponseWriter) *sender {
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	buf := bufio.NewWriterSize(w, 64<<10)
	s := &sender{control: http.NewResponseController(w), buf: buf, json: json.NewEncoder(buf)}
	s.write(func() error { return nil }) // sends the header, for which the harness waits
	return s
}

// forward sends the requests in the buffer until the load has ended, and returns its
// error. If ctx ends for another reason than a stop, it sends this reason at once, and
// nothing after it. If the harness is gone, it ends the load.
func (s *sender) forward(ctx context.Context, out *buffer, result <-chan error, end context.CancelCauseFunc) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	over := ctx.Done()
	var batch []record.Request
	for {
		var err error
		ended := false
		select {
		case err = <-result:
			ended = true
		case <-tick.C:
		case <-over:
			over = nil
			if spoilt := spoiltBy(ctx); spoilt != nil {
				s.last(line{Error: spoilt.Error()})
				s.err = cmp.Or(s.err, spoilt)
			}
		}
		batch = out.take(batch)
		s.requests(batch)
		if s.err != nil {
			end(s.err)
		}
		if ended {
			return err
		}
	}
}

// requests sends a batch; if it is empty, an empty line once heartbeat has passed.
func (s *sender) requests(batch []record.Request) {
	if len(batch) == 0 && time.Since(s.spoke) < heartbeat {
		return
	}
	s.write(func() error {
		for i := range batch {
			if err := s.json.Encode(&batch[i]); err != nil {
				return err
			}
		}
		if len(batch) == 0 {
			return s.buf.WriteByte('\n')
		}
		return nil
	})
}

// last sends the last line.
func (s *sender) last(l line) { s.write(func() error { return s.json.Encode(l) }) }

// write has lines write to the buffer and flushes it, within sendTimeout.
func (s *sender) write(lines func() error) {
	if s.err != nil {
		return
	}
	s.spoke = time.Now()
	for _, step := range []func() error{
		func() error { return s.control.SetWriteDeadline(s.spoke.Add(sendTimeout)) },
		lines, s.buf.Flush, s.control.Flush,
	} {
		if s.err = step(); s.err != nil {
			return
		}
	}
}
