package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"kubernaut.io/dynamic-toolset/harness/load"
	"kubernaut.io/dynamic-toolset/harness/record"
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 8 << 20

// Agent is an [http.Handler] that runs one load at a time.
type Agent struct {
	mux *http.ServeMux

	mu  sync.Mutex
	end context.CancelCauseFunc // ends the running load; nil if there is none

	limit int // of the buffer, in requests
}

// New returns an agent that runs no load yet.
func New() *Agent {
	a := &Agent{mux: http.NewServeMux(), limit: maxBuffered}
	a.mux.HandleFunc("POST /run", a.run)
	a.mux.HandleFunc("POST /stop", a.stop)
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // if the client is gone, it needs no answer
	})
	return a
}

// ServeHTTP implements the protocol of this package.
func (a *Agent) ServeHTTP(w http.ResponseWriter, req *http.Request) { a.mux.ServeHTTP(w, req) }

// Abort stops the running load, if there is one, and makes it fail for this reason. It
// does not wait for the end.
func (a *Agent) Abort(reason error) { a.finish(reason) }

// finish ends the schedule of the running load, and reports whether there is one.
func (a *Agent) finish(cause error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.end == nil {
		return false
	}
	a.end(cause)
	return true
}

// errStopped is the cause if the harness has asked for the end.
var errStopped = errors.New("stopped")

func (a *Agent) stop(w http.ResponseWriter, _ *http.Request) {
	if !a.finish(errStopped) {
		http.Error(w, "no load is running", http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (a *Agent) run(w http.ResponseWriter, req *http.Request) {
	// Read all of it: only then does the server notice when the harness is gone.
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxConfig))
	if err != nil {
		http.Error(w, "the configuration could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	var config load.Config
	if err := json.Unmarshal(body, &config); err != nil {
		http.Error(w, "the configuration is not right: "+err.Error(), http.StatusBadRequest)
		return
	}
	if err := config.Validate(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, end := context.WithCancelCause(req.Context())
	defer end(nil)
	if !a.claim(end) {
		http.Error(w, "a load is running already, or being ended: stop it, or use an agent of your own", http.StatusConflict)
		return
	}
	release := sync.OnceFunc(a.release)
	defer release()

	out := &buffer{limit: a.limit, overflow: func() { end(errOverflow) }}
	result := make(chan error, 1)
	var summary load.Summary
	go func() {
		var err error
		summary, err = load.Run(ctx, config, out.add)
		result <- err
	}()
	s := newSender(w)
	err = s.forward(ctx, out, result, end)
	release()                         // before the last line, since the harness may start another run after it
	switch spoilt := spoiltBy(ctx); { // forward may have sent the reason; then last sends nothing
	case err != nil:
		s.last(line{Error: err.Error()})
	case spoilt != nil:
		s.last(line{Error: spoilt.Error()})
	default:
		s.last(line{Summary: &summary})
	}
}

// spoiltBy returns why the load of ctx is incomplete; nil while it runs, and after a
// stop.
func spoiltBy(ctx context.Context) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(cause, errStopped) {
		return nil
	}
	return fmt.Errorf("the load was stopped before its end: %w", cause)
}

func (a *Agent) claim(end context.CancelCauseFunc) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.end != nil {
		return false
	}
	a.end = end
	return true
}

func (a *Agent) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.end = nil
}

// line is a line of the response to POST /run. One of its fields is set.
type line struct {
	*record.Request
	Summary *load.Summary `json:"summary,omitempty"`
	Error   string        `json:"error,omitempty"`
}
