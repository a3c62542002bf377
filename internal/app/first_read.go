package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// mostCallPatience is how long after the start calls of tools wait for the cluster to
	// have been read, since an agent calls as soon as it can. Clients wait for an answer for
	// longer than that.
	mostCallPatience = 10 * time.Second
	// silence is how long nothing is said of it: most clusters are read faster.
	silence = 500 * time.Millisecond
)

// A firstRead is the first reading of a cluster, for a command that answers meanwhile.
type firstRead struct {
	r     *reader
	late  <-chan struct{} // closed when calls no longer wait
	done  chan struct{}   // closed when it has been read
	ended chan struct{}   // closed when it never will be
	err   error           // why; set before ended is closed
}

func newFirstRead(r *reader, patience time.Duration) *firstRead {
	late := make(chan struct{})
	time.AfterFunc(patience, func() { close(late) })
	return &firstRead{r: r, late: late, done: make(chan struct{}), ended: make(chan struct{})}
}

// run reads the cluster, which goes on until ctx ends, and says what it waits for. It calls
// build when everything has been read, and reports whether that was so.
func (f *firstRead) run(ctx context.Context, running *sync.WaitGroup, patience time.Duration, say func(string), build func()) bool {
	over := make(chan error, 1)
	running.Go(func() { over <- f.r.source.Run(ctx) })
	synced, tried := f.r.source.FirstSync(), noWorkloads
	if f.r.watcher != nil {
		running.Go(func() { f.r.watcher.Run(ctx) })
		tried = f.r.watcher.Tried()
	}
	quiet, late := time.After(silence), time.After(patience)
	waiting := false
	for synced != nil || tried != nil {
		select {
		case <-synced:
			synced = nil
		case <-tried:
			tried = nil
		case err := <-over:
			if ctx.Err() == nil {
				f.err = cmp.Or(err, unread(f.r.source.Status(), patience))
				close(f.ended)
				say(f.err.Error())
			}
			return false
		case <-quiet:
			waiting = true
			say("waiting for " + f.r.place + ", which " + f.reason())
		case <-late:
			say(fmt.Sprintf("%s is not read after %s; it %s, and is tried again", f.r.place, patience, f.reason()))
		case <-ctx.Done():
			return false
		}
	}
	for _, warning := range f.warnings() {
		say("warning: " + warning)
	}
	build()
	close(f.done)
	if waiting {
		say(f.r.place + " has been read")
	}
	return true
}

// noWorkloads is for a reader that does not watch them.
var noWorkloads = func() <-chan struct{} { c := make(chan struct{}); close(c); return c }()

// warnings returns what could not be used of what was read.
func (f *firstRead) warnings() (all []string) {
	if refused, ok := errors.AsType[*unusable](f.r.problems()); ok {
		for _, p := range refused.problems {
			all = append(all, p.String())
		}
	}
	if f.r.watcher != nil {
		if err := f.r.watcher.Problem(); err != nil {
			all = append(all, fmt.Sprintf("the workloads of the cluster can't be read, and say nothing about Services: %v", err))
		}
	}
	return all
}

// wrong is what is known to be wrong now; nil if nothing is.
func (f *firstRead) wrong() error {
	a := f.r.source.Status()
	switch {
	case a.Denied != nil:
		return fmt.Errorf("the cluster can't be read: %w", a.Denied)
	case a.LastError != "":
		return errors.New(a.LastError)
	}
	return nil
}

// reason is wrong for the end of a sentence.
func (f *firstRead) reason() string {
	if err := f.wrong(); err != nil {
		return "can't be read: " + err.Error()
	}
	return "has not answered yet"
}

// wait waits until the cluster has been read, or it is known why it can't be, but not for
// long. It returns nil if it has been read.
func (f *firstRead) wait() error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select { // first: it may have been late or wrong before
		case <-f.done:
			return nil
		default:
		}
		select {
		case <-f.done:
			return nil
		case <-f.ended:
			return f.err
		case <-f.late:
			return cmp.Or(f.wrong(), errors.New("it has not answered yet"))
		case <-look.C:
			if err := f.wrong(); err != nil {
				return err
			}
		}
	}
}
