package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A harness that takes nothing does not hold up the load. When the buffer is full, the
// run fails.
func TestOverflow(t *testing.T) {
	var overflows int
	b := &buffer{limit: 3, overflow: func() { overflows++ }}
	for range 10 {
		b.add(record.Request{})
	}
	if n := len(b.take(nil)); n != 3 || overflows != 1 {
		t.Errorf("%d kept, %d overflows", n, overflows)
	}
	address, _ := target(t)
	a := New()
	a.limit = 1
	session := begin(t, startAgent(t, a), config(address), func(record.Request) {})
	if err := waitDone(t, session); err == nil || !strings.Contains(err.Error(), "buffer is full") {
		t.Error(err)
	}
}

// An agent that is silent counts as gone; one without requests to send sends
// heartbeats.
func TestSilence(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	_, err := impatient{client, 20 * time.Millisecond}.Read(make([]byte, 1))
	if e, is := err.(net.Error); !is || !e.Timeout() {
		t.Error(err)
	}

	s := newSender(httptest.NewRecorder())
	if s.err == nil { // a recorder has no deadlines
		t.Error("what could not be sent was taken for sent")
	}
	var out strings.Builder
	s = newSender(discardDeadline{httptest.NewRecorder(), &out})
	s.requests(nil)
	if out.Len() != 0 {
		t.Errorf("%q at once", out.String())
	}
	s.spoke = s.spoke.Add(-heartbeat)
	s.requests(nil)
	if out.String() != "\n" || s.err != nil {
		t.Errorf("%q, %v", out.String(), s.err)
	}
}

// If writing to the harness fails, the load ends.
func TestSenderEndsTheLoad(t *testing.T) {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	result := make(chan error, 1)
	context.AfterFunc(ctx, func() { result <- nil })
	ended := make(chan bool)
	go func() {
		newSender(httptest.NewRecorder()).forward(ctx, &buffer{limit: 1}, result, end) // a recorder has no deadlines
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the load goes on for nobody")
	}
}

// Nothing is sent after the reason why a run is incomplete.
func TestSenderSaysTheReasonLast(t *testing.T) {
	ctx, end := context.WithCancelCause(context.Background())
	end(errors.New("the node is drained"))
	var out strings.Builder
	s := newSender(discardDeadline{httptest.NewRecorder(), &out})
	b := &buffer{limit: 1}
	result := make(chan error)
	go func() {
		time.Sleep(2 * flushEvery) // the load ends after that
		b.add(record.Request{})
		result <- nil
	}()
	if err := s.forward(ctx, b, result, end); err != nil {
		t.Error(err)
	}
	s.last(line{Error: "more"})
	if want := `{"error":"the load was stopped before its end: the node is drained"}` + "\n"; out.String() != want {
		t.Errorf("%q; want %q", out.String(), want)
	}
}

type discardDeadline struct {
	*httptest.ResponseRecorder
	out io.Writer
}

func (d discardDeadline) SetWriteDeadline(time.Time) error  { return nil }
func (d discardDeadline) Write(p []byte) (int, error)       { return d.out.Write(p) }
func (d discardDeadline) WriteString(s string) (int, error) { return io.WriteString(d.out, s) }
