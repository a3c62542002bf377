package cluster

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/service"
)

// FieldManager owns what we write, for server-side apply; ManagedByLabel says
// the same to people.
const (
	FieldManager   = "dynamic-toolset"
	ManagedByLabel = "app.kubernetes.io/managed-by"
)

// writeTimeout bounds one call that writes.
const writeTimeout = 10 * time.Second

// firstPatience is how long a writer waits to be told what is there, without which
// a write might be one too many.
const firstPatience = 3 * time.Second

// ConfigMapWriter keeps a ConfigMap equal to the generated documents, one key for
// each, or, where they are too large for one, several with an index. It writes by
// server-side apply and owns nothing else of the object: other keys, labels and
// annotations are for others. It follows what it has written, and repairs its own
// part when somebody changes or deletes it.
//
// It also reads the key service.OverridesKey, which is an administrator's. That and
// following the main ConfigMap go on in a replica that does not write.
type ConfigMapWriter struct {
	requestQueue
	client    kubernetes.Interface
	ns, name  string
	documents func() []service.GeneratedDocument
	opts      WriterOptions
	log       *zap.Logger
	limits    limits
	grace     time.Duration // see retire

	active  atomic.Bool
	terms   atomic.Int64 // how often it was made active
	running atomic.Bool
	version atomic.Pointer[string]
	seen    chan struct{} // something new about the ConfigMaps
	looked  chan struct{} // closed when the main one was read, or could not be
	lookup  sync.Once

	mu    sync.Mutex
	slots [1 + PartNames]slot // 0 is the main ConfigMap; the others are parts

	overrides overridesState
	recorder  *eventRecorder

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
	followers     map[int]*partWatch
	diff          diffState
}

// A slot is where a ConfigMap of ours may be.
type slot struct {
	view *view // as last seen, nil if unknown
	err  error // why it can't be followed
}

// NewConfigMapWriter returns a writer of the ConfigMap name in namespace.
// documents returns the current documents, nil while there are none; their keys
// are those of package service. It is called from the goroutine of Run. client must
// have no overall timeout, which would end the watch.
//
// The rights it needs are list, watch, create and patch on configmaps, and each
// may be limited to this one by resourceNames. That holds for create too, as
// server-side apply asks for it with the name in the URL (a POST would not). Only
// where the documents may be split, it needs the same and delete for NAME-1 to
// NAME-64. Without create on events of events.k8s.io, no events are sent. A replica
// that does not write needs list and watch only.
func NewConfigMapWriter(client kubernetes.Interface, namespace, name string, documents func() []service.GeneratedDocument, opts WriterOptions) *ConfigMapWriter {
	opts.defaults()
	w := &ConfigMapWriter{
		requestQueue: newRequestQueue(), client: client, ns: namespace, name: name, documents: documents,
		opts: opts, limits: defaultLimits, grace: retireGrace,
		seen: make(chan struct{}, 1), looked: make(chan struct{}),
		log:     opts.Logger.With(zap.String("configmap", namespace+"/"+name)),
		written: map[int]*content{}, retired: map[int]time.Time{}, followers: map[int]*partWatch{},
	}
	w.recorder, w.term = newEventRecorder(w), -1
	w.active.Store(!opts.Standby)
	return w
}

// SetActive makes the writer write, or only follow the ConfigMap, as a replica
// does that does not lead. A writer that becomes active writes the ConfigMap even
// if it is as it should be, where there is a Fence: with its token.
func (w *ConfigMapWriter) SetActive(active bool) {
	if active && !w.active.Load() {
		w.terms.Add(1)
	}
	if w.active.Swap(active) != active {
		w.Notify()
	}
}

// Version implements Writer: the ConfigMap's resourceVersion.
func (w *ConfigMapWriter) Version() string {
	if v := w.version.Load(); v != nil {
		return *v
	}
	return ""
}

// Looked returns a channel that is closed once the ConfigMap has been read, and
// OnOverrides has been told of the overrides in it; or once it could not be read.
func (w *ConfigMapWriter) Looked() <-chan struct{} { return w.looked }

// Run implements Writer.
func (w *ConfigMapWriter) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("cluster: ConfigMapWriter.Run was called twice")
	}
	close(w.started)
	defer close(w.ended)
	watch := newConfigMapWatch(w, 0)
	var wg sync.WaitGroup
	wg.Go(func() { watch.run(ctx) })
	wg.Go(func() { w.recorder.run(ctx) })
	w.loop(ctx, watch.ready)
	w.follow(ctx, 0)
	wg.Wait()
	return nil
}

// loop is the only place that writes.
func (w *ConfigMapWriter) loop(ctx context.Context, ready <-chan struct{}) {
	w.begun = time.Now()
	patience := time.NewTimer(firstPatience) // see look
	defer patience.Stop()
	var requests []writeRequest
	select {
	case <-ready:
	case <-patience.C:
	case r := <-w.requests:
		requests = w.more(r)
	case <-ctx.Done():
		return
	}
	backoff := firstRetry
	var last time.Time
	var told writeErrorLog
	for {
		if !sleep(ctx, w.gap()-time.Since(last)) {
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
			again, pause = true, jitter(firstRetry, 0.2)
		case errors.Is(err, ErrStandby):
			told = writeErrorLog{}
		case !errors.Is(err, ErrNoDocument):
			told.tell(w.log, err)
			pause = jitter(pauseAfter(err, backoff), 0.2)
			backoff = min(2*backoff, maxRetry)
		}
		if !again {
			for _, r := range requests {
				r <- writeResult{version, err}
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

// wait returns when there is reason to write, with the requests if they are it;
// false if ctx has ended. After a failure, pause is when to try again; a change
// may make it happen sooner, but not all the time, unless it is what is waited for
// (eager).
func (w *ConfigMapWriter) wait(ctx context.Context, pause time.Duration, eager bool) ([]writeRequest, bool) {
	var retry, calm, alarm <-chan time.Time
	notify, seen := w.notify, w.seen
	if pause > 0 {
		r := time.NewTimer(pause)
		defer r.Stop()
		retry = r.C
		if !eager {
			c := time.NewTimer(min(pause, time.Second))
			defer c.Stop()
			calm, notify, seen = c.C, nil, nil
		}
	} else if !w.alarm.IsZero() {
		a := time.NewTimer(time.Until(w.alarm))
		defer a.Stop()
		alarm = a.C
	}
	for {
		select {
		case <-calm:
			notify, seen = w.notify, w.seen
			continue
		case <-retry:
		case <-alarm:
		case <-notify:
		case <-seen:
		case r := <-w.requests:
			return w.more(r), true
		case <-ctx.Done():
			return nil, false
		}
		return nil, true
	}
}

// wake has the loop look again at t, or sooner.
func (w *ConfigMapWriter) wake(t time.Time) {
	if w.alarm.IsZero() || t.Before(w.alarm) {
		w.alarm = t
	}
}

// view returns the ConfigMap of this number as last seen, nil if it is unknown.
func (w *ConfigMapWriter) view(number int) *view {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.slots[number].view
}

// observe takes note of a ConfigMap, unless v is older than what is known: the
// watch lags behind our own writes.
func (w *ConfigMapWriter) observe(number int, v *view) {
	w.mu.Lock()
	if now := w.slots[number].view; now != nil && olderOrSame(v.rv, now.rv) {
		w.mu.Unlock()
		return
	}
	w.slots[number] = slot{view: v}
	w.mu.Unlock()
	if number == 0 {
		version := ""
		if v.exists {
			version = v.rv
		}
		if old := w.version.Swap(&version); old == nil || *old != version {
			w.opts.OnVersion(version)
		}
		w.takeOverrides()
		w.lookup.Do(func() { close(w.looked) })
	}
	w.saw()
}

// unseen takes note that a ConfigMap can't be followed.
func (w *ConfigMapWriter) unseen(number int, err error) {
	w.mu.Lock()
	w.slots[number].err = err
	w.mu.Unlock()
	if number == 0 {
		w.lookup.Do(func() { close(w.looked) })
	}
	w.saw()
}

// saw says that something new was seen.
func (w *ConfigMapWriter) saw() {
	select {
	case w.seen <- struct{}{}:
	default:
	}
}

func olderOrSame(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order <= 0
}
