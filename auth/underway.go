package auth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxWaiting is how many questions may wait for their turn, each for at most maxWait.
	// After a restart nothing is remembered and all callers come at once: they should
	// wait for a moment and not be turned away.
	maxWaiting = 1024
	maxWait    = 2 * time.Second
)

// reviews bounds the questions under way, and asks equal ones only once.
type reviews struct {
	slots   chan struct{}
	waiting atomic.Int32

	mu      sync.Mutex
	callers map[question]*answer[*caller]
	grants  map[question]*answer[*grant]
}

// A question is about a token's caller, or about what that caller may do.
type question struct {
	key    key
	action int
}

type answer[T any] struct {
	done  chan struct{}
	value T
	err   error
}

func newReviews(limit int) *reviews {
	return &reviews{
		slots:   make(chan struct{}, limit),
		callers: map[question]*answer[*caller]{},
		grants:  map[question]*answer[*grant]{},
	}
}

func (r *reviews) caller(k key, ask func() (*caller, error)) (*caller, error) {
	return once(r, r.callers, question{k, wholeCaller}, ask)
}

func (r *reviews) grant(k key, action int, ask func() (*grant, error)) (*grant, error) {
	return once(r, r.grants, question{k, action}, ask)
}

// once calls ask, or waits for a call under way for the same question and shares its
// answer. The number of those that wait is bounded by the connections of the server, and
// the time by that of one question.
func once[T any](r *reviews, under map[question]*answer[T], q question, ask func() (T, error)) (T, error) {
	r.mu.Lock()
	if a := under[q]; a != nil {
		r.mu.Unlock()
		<-a.done
		return a.value, a.err
	}
	a := &answer[T]{done: make(chan struct{}), err: errPanicked}
	under[q] = a
	r.mu.Unlock()
	defer func() { // also if ask panics: the others must not wait forever
		r.mu.Lock()
		delete(under, q)
		r.mu.Unlock()
		close(a.done)
	}()
	a.value, a.err = ask()
	return a.value, a.err
}

var errPanicked = errors.New("the review failed")

// begin waits for a turn. If there is no error, the caller must call release.
func (r *reviews) begin(ctx context.Context) (release func(), err error) {
	release = func() { <-r.slots }
	select {
	case r.slots <- struct{}{}:
		return release, nil
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return nil, ErrBusy
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case r.slots <- struct{}{}:
		return release, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
