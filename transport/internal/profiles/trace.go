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

// trace sends an execution trace as it arises. It is not kept, as a CPU profile
// is: a busy process fills megabytes a second. It is the last response of its
// connection.
func (p *Profiler) trace(ctx *fasthttp.RequestCtx, d time.Duration) {
	if trace.IsEnabled() {
		p.until.Store(0)
		p.busy(ctx) // somebody else in this process traces
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
			t.conn.Close() //nolint:errcheck // the client must not take it for a trace without events
			return
		}
		p.wait(d, t.failed)
		trace.Stop() // returns when all has been written
	})
}

// A tracer sends what the runtime writes to the client.
type tracer struct {
	conn    net.Conn
	w       *bufio.Writer
	timeout time.Duration // for each piece
	broken  bool
	failed  chan struct{} // closed with broken
}

// Write sends a piece, in a time of its own: the server has set one deadline for the
// whole response. Once a piece could not be sent, none is.
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
