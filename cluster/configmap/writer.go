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

// Options configure a Writer. All are optional. The functions are called from the
// goroutine of Run, unless stated otherwise, and must not block.
type Options struct {
	Logger *zap.Logger
	// MinInterval is the least time between two writes; default 200 ms. Changes in
	// between are written together.
	MinInterval time.Duration
	// Standby makes the Writer begin without writing, as in a replica that does not lead;
	// see Writer.SetActive.
	Standby bool
	// Fence, if not nil, is called right before each write. It returns whether this
	// replica may write (holds the lease), and the token of its term, which is written to
	// the ConfigMap as an annotation. A late write by an earlier leader then finds
	// another resourceVersion and fails. See leader.Candidate.
	Fence func() (token string, ok bool)
	// Overrides, if not nil, are those of the same View. The replica that writes reports
	// them in Events.
	Overrides *Overrides
	// OnWrite is called with the outcome (WriteSuccess and so on) of each attempt.
	OnWrite func(outcome string)
	// OnDrift is called when somebody else has changed or deleted what we have written.
	OnDrift func()
	// OnForbidden is called for each call that the API server has refused because a right
	// is missing. Unlike the others, it is called from several goroutines.
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

// firstPatience is how long a writer waits at the start to learn what is there, so that
// it makes no unnecessary write.
const firstPatience = 3 * time.Second

// A Writer keeps the ConfigMap of a View equal to the generated documents, with a key for
// each; or several ConfigMaps with an index, if the documents are too large for one. By
// server-side apply it owns nothing else of the objects: other keys, labels and
// annotations belong to others. It watches what it has written, and repairs that when
// somebody changes or deletes it.
type Writer struct {
	requestQueue
	view      *View
	client    kubernetes.Interface
	ns, name  string
	documents func() []service.Document
	opts      Options
	log       *zap.Logger
	limits    limits
	grace     time.Duration // see retireGrace
	sayEvery  time.Duration // see diffEvery
	recorder  *events.Recorder

	active  atomic.Bool
	terms   atomic.Int64 // how often SetActive has made it active
	running atomic.Bool
	seen    chan struct{} // has a token when a ConfigMap has changed
	news    chan struct{} // has a token when an Event about the overrides is due

	mu    sync.Mutex
	parts [1 + PartNames]slot // by number; 0 is not used

	// These belong to the goroutine of loop.
	begun         time.Time
	term          int64            // the value of terms in the current term; -1 before the first
	token         string           // of the current term
	written       map[int]*content // what was last written, or found to be right, by number
	high          int              // the highest part that may exist, as far as is known
	index         map[int]held     // the current index; nil if the documents are not split
	attempt       map[int]held     // an index that may have been written
	retired       map[int]time.Time
	conflicts     int // in a row
	contested     int // number of the ConfigMap of the last conflict
	alarm         time.Time
	writeConflict writeConflict
	followers     map[int]*partFollower
	diff          diffState
}

// NewWriter returns a writer of the ConfigMap of view, which uses the client of view.
// documents returns the current documents, or nil if there are none yet; their keys are
// those of service/output. It is called from the goroutine of Run.
//
// Besides the rights of the view, the Writer needs create and patch on configmaps. Both
// may be limited to this ConfigMap by resourceNames, even create: server-side apply has
// the name in the URL (a POST has not). If the documents may be split it needs the same,
// and list, watch and delete, for NAME-1 to NAME-64. Without create on events of
// events.k8s.io it sends no Events. A replica that does not write needs only the rights
// of the view.
func NewWriter(view *View, documents func() []service.Document, opts Options) *Writer {
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

// SetActive makes the writer write, or only follow the ConfigMap, as in a replica that
// does not lead. If there is a Fence, a writer that becomes active writes the ConfigMap
// even if its content is right, to set its token.
func (w *Writer) SetActive(active bool) {
	if active && !w.active.Load() {
		w.terms.Add(1)
	}
	if w.active.Swap(active) != active {
		w.Notify()
	}
}

// Run writes until ctx ends, and returns when everything it has started has ended. It
// must be called once, and the View must run too. A write that fails is tried again.
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

// loop makes all writes.
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

// start waits until it is known what is there, for at most firstPatience, or until a
// request comes, which it returns. It returns false if ctx has ended.
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

// wait returns when there is a reason to write, with the requests if there are any; false
// if ctx has ended. After a failure, pause is the time until the next attempt. A change
// ends it early, but not within its first second unless eager is set.
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

// wake makes the loop look again at t, or before.
func (w *Writer) wake(t time.Time) {
	if w.alarm.IsZero() || t.Before(w.alarm) {
		w.alarm = t
	}
}

// latest returns what is known about the ConfigMap with this number.
func (w *Writer) latest(number int) slot {
	if number == 0 {
		return w.view.latest()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.parts[number]
}

// revision returns the last known revision of the ConfigMap with this number; nil if none
// is known.
func (w *Writer) revision(number int) *revision { return w.latest(number).seen }

// observe stores a revision of the ConfigMap with this number.
func (w *Writer) observe(number int, r *revision) {
	if number == 0 {
		w.view.observe(r)
		return
	}
	w.note(number, func(s *slot) bool { return s.take(r) })
}

// note changes what is known about a part. If change returns true, the loop looks at it.
func (w *Writer) note(number int, change func(*slot) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if change(&w.parts[number]) {
		poke(w.seen)
	}
}
