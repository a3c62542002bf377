package profiles

import (
	"bufio"
	"io"
	"net"
	"runtime/trace"
	"time"

	"github.com/valyala/fasthttp"
	"go.uber.org/zap"
)

// trace sends an execution trace while it is being taken. Unlike a CPU profile it is not
// kept in memory, since a busy process writes megabytes per second. It is the last
// response on its connection.
func (p *Profiler) trace(ctx *fasthttp.RequestCtx, d time.Duration) {
	if trace.IsEnabled() {
		p.until.Store(0)
		p.busy(ctx) // something else in this process takes a trace
		return
	}
	profileFields(ctx, "trace")
	ctx.SetConnectionClose()
	t := &tracer{conn: ctx.Conn(), timeout: p.writeTimeout, failed: make(chan struct{})}
	ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
		defer p.until.Store(0)
		t.w = w
		if err := trace.Start(t); err != nil {
			p.log.Error("The execution trace can't be started; its connection is closed", zap.Error(err))
			t.conn.Close() //nolint:errcheck // else the client would take it for a trace without events
			return
		}
		p.wait(d, t.failed)
		trace.Stop() // returns when everything has been written
	})
}

// A tracer is a writer that sends a trace to the client.
type tracer struct {
	conn    net.Conn
	w       *bufio.Writer
	timeout time.Duration // for each piece
	broken  bool
	failed  chan struct{} // closed when broken is set
}

// Write sends a piece and gives it a deadline of its own, since the server has set one
// for the whole response. After a piece could not be sent, Write sends no more.
func (t *tracer) Write(b []byte) (int, error) {
	if t.broken {
		return 0, io.ErrClosedPipe
	}
	err := t.conn.SetWriteDeadline(time.Now().Add(t.timeout))
	if err == nil {
		_, err = t.w.Write(b)
	}
	if err == nil {
		err = t.w.Flush()
	}
	if err != nil {
		t.broken = true
		close(t.failed)
		return 0, err
	}
	return len(b), nil
}
