package configmap

import (
	"context"
	"fmt"

	"kubernaut.io/dynamic-toolset/cluster"
)

// A request is a WriteNow that waits for its answer.
type request chan answer

type answer struct {
	version string
	err     error
}

// A requestQueue takes requests, for both writers.
type requestQueue struct {
	notify   chan struct{}
	requests chan request
	started  chan struct{}
	ended    chan struct{}
}

func newRequestQueue() requestQueue {
	return requestQueue{make(chan struct{}, 1), make(chan request), make(chan struct{}), make(chan struct{})}
}

// Notify tells the writer that the documents may have changed. It is cheap and never
// blocks, and may be called without a change: then nothing is written.
func (q *requestQueue) Notify() { poke(q.notify) }

// poke leaves a token in a channel that has room for one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}

// WriteNow writes the documents, if that is necessary, and returns the version that holds
// them. A replica that does not write returns the version that the leader has written, or
// an error that wraps ErrStandby if there is none. While Run is not running it returns
// cluster.ErrNotRunning.
func (q *requestQueue) WriteNow(ctx context.Context) (version string, err error) {
	select {
	case <-q.started:
	default:
		return "", cluster.ErrNotRunning
	}
	r := make(request, 1)
	select {
	case q.requests <- r:
	case <-q.ended:
		return "", cluster.ErrNotRunning
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	select {
	case a := <-r:
		return a.version, a.err
	case <-q.ended:
		return "", cluster.ErrNotRunning
	case <-ctx.Done():
		return "", fmt.Errorf("the documents were not written in time: %w", context.Cause(ctx))
	}
}

// more returns first and all other requests that wait.
func (q *requestQueue) more(first request) []request {
	all := []request{first}
	for {
		select {
		case r := <-q.requests:
			all = append(all, r)
		default:
			return all
		}
	}
}
