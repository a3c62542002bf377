package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"kubernaut.io/dynamic-toolset/service"
)

// A Writer keeps a copy of the generated documents up to date somewhere:
// ConfigMapWriter in the cluster, FileWriter in a file.
type Writer interface {
	// Run writes until ctx ends, and returns when everything it started has
	// ended. It is called once. Failed writes are retried, not returned.
	Run(ctx context.Context) error
	// Notify says that the documents may have changed. It is cheap, never
	// blocks, and may be called too often: nothing is written without a change.
	Notify()
	// WriteNow writes the documents, if need be, and returns the version that
	// holds them. A replica that does not write returns that of what the leader has
	// written, or ErrStandby if there is none. It works only while Run does (else
	// ErrNotRunning).
	WriteNow(ctx context.Context) (version string, err error)
	// Version is that of the copy as last seen, empty if there is none.
	Version() string
}

var (
	_ Writer = (*ConfigMapWriter)(nil)
	_ Writer = (*FileWriter)(nil)
)

// Outcomes of a write, for OnWrite and as metric labels.
const (
	WriteSuccess   = "success"   // written, and it made a difference
	WriteUnchanged = "unchanged" // asked for, and there was nothing to change
	WriteForbidden = "forbidden" // a right is missing, or a policy stands against it
	WriteInvalid   = "invalid"   // too large, or refused as it is
	WriteMissing   = "namespace_missing"
	WriteConflict  = "conflict" // somebody else wrote at the same time; it is tried again at once
	WriteError     = "error"    // anything else; likely to pass
)

// WriterOptions tune a Writer. All are optional. The functions are called from
// the goroutine of Run and must not block.
type WriterOptions struct {
	Logger *zap.Logger
	// MinInterval is the least time between two writes; default 200 ms. Changes
	// in between are written as one.
	MinInterval time.Duration
	// Standby begins without writing, as a replica does that does not lead; see
	// ConfigMapWriter.SetActive.
	Standby bool
	// Fence, if not nil, is asked right before each write whether this replica
	// may write (holds the lease), and for the token that marks its term, written
	// with the ConfigMap as an annotation: a write by an earlier leader that
	// arrives late finds another resourceVersion and fails. See Leader.
	Fence func() (token string, ok bool)
	// OnWrite is told the outcome (WriteSuccess...) of each attempt.
	OnWrite func(outcome string)
	// OnDrift is told that somebody else changed or deleted our copy.
	OnDrift func()
	// OnVersion is told each new version of the copy.
	OnVersion func(version string)
	// OnOverrides is told of the overrides that the ConfigMap holds, nil for none, when
	// they have changed; wrong is why they are refused, all of them, and then they
	// are nil. It is called from several goroutines, one at a time.
	OnOverrides func(o *service.Overrides, wrong []service.Invalid)
	// OnForbidden is told of each call that the API server refused for want of
	// a right. Unlike the others, it is called from several goroutines.
	OnForbidden func(*MissingRight)
}

func (o *WriterOptions) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	orDefault(&o.MinInterval, 200*time.Millisecond)
	if o.OnWrite == nil {
		o.OnWrite = func(string) {}
	}
	if o.OnDrift == nil {
		o.OnDrift = func() {}
	}
	if o.OnVersion == nil {
		o.OnVersion = func(string) {}
	}
	if o.OnOverrides == nil {
		o.OnOverrides = func(*service.Overrides, []service.Invalid) {}
	}
	if o.OnForbidden == nil {
		o.OnForbidden = func(*MissingRight) {}
	}
}

// Errors of WriteNow, besides those of the API server.
var (
	// ErrNoDocument: nothing has been generated yet.
	ErrNoDocument = errors.New("there is no document yet: the cluster has not been read")
	// ErrStandby: this replica does not write; the leader does.
	ErrStandby = errors.New("this replica does not write the ConfigMap; the leader does")
	// ErrTooLarge: the documents are too large even for MaxParts ConfigMaps.
	ErrTooLarge = errors.New("too large")
)

// A writeRequest is a WriteNow that waits for its answer.
type writeRequest chan writeResult

type writeResult struct {
	version string
	err     error
}

// A requestQueue is where requests are handed in: what both Writers share.
type requestQueue struct {
	notify   chan struct{}
	requests chan writeRequest
	started  chan struct{}
	ended    chan struct{}
}

func newRequestQueue() requestQueue {
	return requestQueue{make(chan struct{}, 1), make(chan writeRequest), make(chan struct{}), make(chan struct{})}
}

// Notify implements Writer.
func (q *requestQueue) Notify() {
	select {
	case q.notify <- struct{}{}:
	default: // noted already
	}
}

// WriteNow implements Writer.
func (q *requestQueue) WriteNow(ctx context.Context) (version string, err error) {
	if !isClosed(q.started) {
		return "", ErrNotRunning
	}
	req := make(writeRequest, 1)
	select {
	case q.requests <- req:
	case <-q.ended:
		return "", ErrNotRunning
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case r := <-req:
		return r.version, r.err
	case <-q.ended:
		return "", ErrNotRunning
	case <-ctx.Done():
		return "", fmt.Errorf("the documents were not written in time: %w", context.Cause(ctx))
	}
}

// more returns first and all requests that wait besides.
func (q *requestQueue) more(first writeRequest) []writeRequest {
	all := []writeRequest{first}
	for {
		select {
		case r := <-q.requests:
			all = append(all, r)
		default:
			return all
		}
	}
}
