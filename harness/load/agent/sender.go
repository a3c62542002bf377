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
	// flushEvery is how long a request waits to be sent at most.
	flushEvery = 100 * time.Millisecond
	// heartbeat is how long the agent is silent at most.
	heartbeat = time.Second
	// sendTimeout is for how long the harness may take nothing.
	sendTimeout = 30 * time.Second
)

// sender writes lines to the harness. After an error it writes no more.
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
	s.write(func() error { return nil }) // the harness waits for the header
	return s
}

// forward sends the requests of the buffer until the load has ended, whose error
// it returns. When ctx ends for another reason than a stop, it says so at once
// and sends no more; when the harness is gone, it ends the load.
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

// requests sends a batch, or an empty line where there has been none for long.
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

// write lets lines write to the buffer and flushes it, in bounded time.
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
