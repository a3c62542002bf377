package configmap

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/events"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
	"kubernaut.io/dynamic-toolset/service"
)

// Options tune a Writer. All are optional. The functions are called from the
// goroutine of Run and must not block.
type Options struct {
	Logger *zap.Logger
	// MinInterval is the least time between two writes; default 200 ms. Changes
	// in between are written as one.
	MinInterval time.Duration
	// Standby begins without writing, as a replica does that does not lead; see
	// Writer.SetActive.
	Standby bool
	// Fence, if not nil, is asked right before each write whether this replica
	// may write (holds the lease), and for the token that marks its term, written
	// with the ConfigMap as an annotation: a write by an earlier leader that
	// arrives late finds another resourceVersion and fails. See leader.Candidate.
	Fence func() (token string, ok bool)
	// Overrides, if not nil, are those of the same View; the replica that writes tells of
	// them in Events.
	Overrides *Overrides
	// OnWrite is told the outcome (WriteSuccess...) of each attempt.
	OnWrite func(outcome string)
	// OnDrift is told that somebody else changed or deleted our copy.
	OnDrift func()
	// OnForbidden is told of each call that the API server refused for want of
	// a right. Unlike the others, it is called from several goroutines.
	OnForbidden func(*cluster.MissingRight)
}

// minInterval is the default of MinInterval.
const minInterval = 200 * time.Millisecond

func (o *Options) defaults() {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	o.MinInterval = cmp.Or(o.MinInterval, minInterval)
	if o.OnWrite == nil {
		o.OnWrite = func(string) {}
	}
	if o.OnDrift == nil {
		o.OnDrift = func() {}
	}
	if o.OnForbidden == nil {
		o.OnForbidden = func(*cluster.MissingRight) {}
	}
}

// firstPatience is how long a writer waits to be told what is there, without which
// a write might be one too many.
const firstPatience = 3 * time.Second

// A Writer keeps the ConfigMap of a View equal to the generated documents, one key for
// each, or, where they are too large for one, several with an index. It writes by
// server-side apply and owns nothing else of the object: other keys, labels and
// annotations are for others. It follows what it has written, and repairs its own
// share when somebody changes or deletes it.
type Writer struct {
	requestQueue
	view      *View
	client    kubernetes.Interface
	ns, name  string
	documents func() []service.GeneratedDocument
	opts      Options
	log       *zap.Logger
	limits    limits
	grace     time.Duration // see retireGrace
	sayEvery  time.Duration // see diffEvery
	recorder  *events.Recorder

	active  atomic.Bool
	terms   atomic.Int64 // how often it was made active
	running atomic.Bool
	seen    chan struct{} // something new about the ConfigMaps
	news    chan struct{} // something new to tell of the overrides

	mu    sync.Mutex
	parts [1 + PartNames]slot // by number; there is no part 0

	// Of the goroutine of loop.
	begun         time.Time
	term          int64            // the value of terms in this term, -1 before the first
	token         string           // of this term
	written       map[int]*content // what was last written, or found so, by number
	high          int              // the highest part that may exist, as far as is known
	index         map[int]held     // the index in force; nil while the documents are whole
	attempt       map[int]held     // one that may be in force
	retired       map[int]time.Time
	conflicts     int // in a row
	contested     int // number of the ConfigMap of the last one
	alarm         time.Time
	writeConflict writeConflict
	followers     map[int]*partFollower
	diff          diffState
}

// NewWriter returns a writer of the ConfigMap of view, by its client. documents returns the
// current documents, nil while there are none; their keys are those of package service. It is
// called from the goroutine of Run.
//
// Besides those of the view, the rights it needs are create and patch on configmaps, and
// each may be limited to this one by resourceNames. That holds for create too, as
// server-side apply asks for it with the name in the URL (a POST would not). Only
// where the documents may be split, it needs the same, list, watch and delete for NAME-1 to
// NAME-64. Without create on events of events.k8s.io, no events are sent. A replica
// that does not write needs those of the view only.
func NewWriter(view *View, documents func() []service.GeneratedDocument, opts Options) *Writer {
	opts.defaults()
	w := &Writer{
		requestQueue: newRequestQueue(), view: view, client: view.client, ns: view.ns, name: view.name, documents: documents,
		opts: opts, limits: defaultLimits, grace: retireGrace, sayEvery: diffEvery, seen: view.listen(),
		log:     opts.Logger.With(zap.String("configmap", view.ns+"/"+view.name)),
		written: map[int]*content{}, retired: map[int]time.Time{}, followers: map[int]*partFollower{},
		term: -1,
	}
	w.recorder = newRecorder(view, events.Options{Logger: w.log, OnForbidden: opts.OnForbidden})
	if opts.Overrides != nil {
		w.news = opts.Overrides.untold
	}
	w.active.Store(!opts.Standby)
	return w
}

// SetActive makes the writer write, or only follow the ConfigMap, as a replica
// does that does not lead. A writer that becomes active writes the ConfigMap even
// if it is as it should be, where there is a Fence: with its token.
func (w *Writer) SetActive(active bool) {
	if active && !w.active.Load() {
		w.terms.Add(1)
	}
	if w.active.Swap(active) != active {
		w.Notify()
	}
}

// Run writes until ctx ends, and returns when everything it started has ended. It is called
// once; the View must run too. Failed writes are tried again, not returned.
func (w *Writer) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("configmap: Writer.Run was called twice")
	}
	close(w.started)
	defer close(w.ended)
	var wg sync.WaitGroup
	wg.Go(func() { w.recorder.Run(ctx) })
	w.loop(ctx)
	w.follow(ctx, 0)
	wg.Wait()
	return nil
}

// loop is the only place that writes.
func (w *Writer) loop(ctx context.Context) {
	w.begun = time.Now()
	requests, ok := w.start(ctx)
	if !ok {
		return
	}
	backoff := firstRetry
	var last time.Time
	var told writeErrorLog
	for {
		if !retry.Sleep(ctx, w.gap()-time.Since(last)) {
			return
		}
		version, wrote, err := w.write(ctx, len(requests) > 0)
		if wrote {
			last = time.Now()
		}
		if ctx.Err() != nil {
			return
		}
		var pause time.Duration
		again := false
		switch {
		case err == nil:
			backoff = firstRetry
			if w.active.Load() {
				told.over(w.log)
			}
		case errors.Is(err, errPending):
			again = true
		case errors.Is(err, errConflict) && w.conflicts < patientConflicts:
			again, pause = true, retry.Jitter(firstRetry, 0.2)
		case errors.Is(err, ErrStandby):
			told = writeErrorLog{}
		case !errors.Is(err, errNoDocument):
			told.tell(w.log, err)
			pause = retry.Jitter(pauseAfter(err, backoff), 0.2)
			backoff = min(2*backoff, maxRetry)
		}
		if !again {
			for _, r := range requests {
				r <- answer{version, err}
			}
			requests = nil
		}
		more, ok := w.wait(ctx, pause, again)
		if !ok {
			return
		}
		requests = append(requests, more...)
	}
}

// start waits until it is known what is there, for firstPatience at most, or until a request
// comes, which it returns; false if ctx has ended.
func (w *Writer) start(ctx context.Context) (requests []request, ok bool) {
	patience := time.NewTimer(firstPatience) // see look
	defer patience.Stop()
	for w.view.latest().seen == nil {
		select {
		case <-w.seen:
		case <-patience.C:
			return nil, true
		case r := <-w.requests:
			return w.more(r), true
		case <-ctx.Done():
			return nil, false
		}
	}
	return nil, true
}

// wait returns when there is reason to write, with the requests if they are it;
// false if ctx has ended. After a failure, pause is when to try again; a change
// may make it happen sooner, but not all the time, unless it is what is waited for
// (eager).
func (w *Writer) wait(ctx context.Context, pause time.Duration, eager bool) ([]request, bool) {
	var due, calm, alarm <-chan time.Time
	notify, seen, news := w.notify, w.seen, w.news
	if pause > 0 {
		r := time.NewTimer(pause)
		defer r.Stop()
		due = r.C
		if !eager {
			c := time.NewTimer(min(pause, time.Second))
			defer c.Stop()
			calm, notify, seen, news = c.C, nil, nil, nil
		}
	} else if !w.alarm.IsZero() {
		a := time.NewTimer(time.Until(w.alarm))
		defer a.Stop()
		alarm = a.C
	}
	for {
		select {
		case <-calm:
			notify, seen, news = w.notify, w.seen, w.news
			continue
		case <-due:
		case <-alarm:
		case <-notify:
		case <-seen:
		case <-news:
		case r := <-w.requests:
			return w.more(r), true
		case <-ctx.Done():
			return nil, false
		}
		return nil, true
	}
}

// wake has the loop look again at t, or sooner.
func (w *Writer) wake(t time.Time) {
	if w.alarm.IsZero() || t.Before(w.alarm) {
		w.alarm = t
	}
}

// latest is what is known of the ConfigMap of this number.
func (w *Writer) latest(number int) slot {
	if number == 0 {
		return w.view.latest()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.parts[number]
}

// revision is the latest one of the ConfigMap of this number, nil if it is not known.
func (w *Writer) revision(number int) *revision { return w.latest(number).seen }

// observe takes note of a revision of the ConfigMap of this number.
func (w *Writer) observe(number int, r *revision) {
	if number == 0 {
		w.view.observe(r)
		return
	}
	w.note(number, func(s *slot) bool { return s.take(r) })
}

// note changes what is known of a part, and has the loop look at it if change says so.
func (w *Writer) note(number int, change func(*slot) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if change(&w.parts[number]) {
		poke(w.seen)
	}
}
