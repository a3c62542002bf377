package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
)

// FieldManager owns what we write, for server-side apply; ManagedByLabel says
// the same to people.
const (
	FieldManager   = "dynamic-toolset"
	ManagedByLabel = "app.kubernetes.io/managed-by"
)

// writeTimeout bounds one call that writes.
const writeTimeout = 10 * time.Second

// ConfigMapWriter keeps one key of one ConfigMap equal to the document, and one
// label. It writes by server-side apply and owns nothing else of the object:
// other keys, labels and annotations are for others. It follows the ConfigMap
// and repairs its own part when somebody changes or deletes it.
type ConfigMapWriter struct {
	writeDesk
	client   kubernetes.Interface
	ns, name string
	document func() []byte
	opts     WriterOptions
	log      *zap.Logger

	active  atomic.Bool
	running atomic.Bool
	version atomic.Pointer[string]
	seen    chan struct{} // something new about the ConfigMap

	mu      sync.Mutex
	current *view  // as last seen, nil if unknown
	written []byte // what was last written; nil before the first

	rivalry rivalry // of the goroutine of loop
}

// A view is what matters of the ConfigMap.
type view struct {
	rv      string // resourceVersion; of the deletion, if it is gone
	exists  bool
	doc     string
	labeled bool
	editor  string // field manager of the last change
}

func viewOf(cm *corev1.ConfigMap) *view {
	v := &view{rv: cm.ResourceVersion, exists: true, doc: cm.Data[DocumentKey],
		labeled: cm.Labels[ManagedByLabel] == FieldManager}
	var last time.Time
	for _, m := range cm.ManagedFields {
		if m.Time != nil && !m.Time.Time.Before(last) && m.Manager != FieldManager {
			last, v.editor = m.Time.Time, m.Manager
		}
	}
	return v
}

func (v *view) holds(doc []byte) bool {
	return v != nil && v.exists && v.labeled && v.doc == string(doc)
}

// NewConfigMapWriter returns a writer of the ConfigMap name in namespace.
// document returns the current document, nil while there is none; it is called
// from the goroutine of Run. client must have no overall timeout, which would
// end the watch.
//
// The rights it needs are list, watch, create and patch on configmaps, and each
// may be limited to this one by resourceNames. That holds for create too, as
// server-side apply asks for it with the name in the URL (a POST would not).
func NewConfigMapWriter(client kubernetes.Interface, namespace, name string, document func() []byte, opts WriterOptions) *ConfigMapWriter {
	opts.defaults()
	w := &ConfigMapWriter{
		writeDesk: newWriteDesk(), client: client, ns: namespace, name: name, document: document,
		opts: opts, seen: make(chan struct{}, 1),
		log: opts.Logger.With(zap.String("configmap", namespace+"/"+name)),
	}
	w.active.Store(!opts.Standby)
	return w
}

// SetActive makes the writer write, or only follow the ConfigMap, as a replica
// does that does not lead.
func (w *ConfigMapWriter) SetActive(active bool) {
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

// Run implements Writer.
func (w *ConfigMapWriter) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return errors.New("cluster: ConfigMapWriter.Run was called twice")
	}
	close(w.started)
	defer close(w.ended)
	watch := newConfigMapWatch(w)
	var wg sync.WaitGroup
	wg.Go(func() { watch.run(ctx) })
	w.loop(ctx, watch.ready)
	wg.Wait()
	return nil
}

// loop is the only place that writes.
func (w *ConfigMapWriter) loop(ctx context.Context, ready <-chan struct{}) {
	// Without knowing what is there, a write might be one too many. But if it
	// cannot be known, as without the right to watch, better one too many.
	patience := time.NewTimer(3 * time.Second)
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
	var told complaint
	for {
		if !sleep(ctx, w.rivalry.gap(w.opts.MinInterval)-time.Since(last)) {
			return
		}
		version, wrote, err := w.write(ctx, len(requests) > 0)
		for _, r := range requests {
			r <- writeResult{version, err}
		}
		if wrote {
			last = time.Now()
		}
		var pause time.Duration
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			backoff = firstRetry
			told.over(w.log)
		case !errors.Is(err, ErrNoDocument) && !errors.Is(err, ErrStandby):
			told.tell(w.log, err)
			pause = jitter(pauseAfter(err, backoff), 0.2)
			backoff = min(2*backoff, maxRetry)
		}
		var ok bool
		if requests, ok = w.wait(ctx, pause); !ok {
			return
		}
	}
}

// wait returns when there is reason to write, with the requests if they are it;
// false if ctx has ended. After a failure, pause is when to try again; a change
// may make it happen sooner, but not all the time.
func (w *ConfigMapWriter) wait(ctx context.Context, pause time.Duration) ([]writeRequest, bool) {
	var retry, calm <-chan time.Time
	notify, seen := w.notify, w.seen
	if pause > 0 {
		r, c := time.NewTimer(pause), time.NewTimer(min(pause, time.Second))
		defer r.Stop()
		defer c.Stop()
		retry, calm = r.C, c.C
		notify, seen = nil, nil
	}
	for {
		select {
		case <-calm:
			notify, seen = w.notify, w.seen
			continue
		case <-retry:
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

// write brings the ConfigMap up to date. Unless asked, it makes no call when
// nothing differs; wrote says whether it made one.
func (w *ConfigMapWriter) write(ctx context.Context, asked bool) (version string, wrote bool, err error) {
	if !w.active.Load() {
		return "", false, ErrStandby
	}
	doc := w.document()
	if doc == nil {
		return "", false, ErrNoDocument
	}
	if err := checkSize(doc); err != nil {
		w.opts.OnWrite(WriteInvalid)
		return "", false, err
	}
	w.mu.Lock()
	now, written := w.current, w.written
	w.mu.Unlock()
	if drifted(now, written) {
		w.opts.OnDrift()
		by := "it was deleted"
		if now.exists {
			by = fmt.Sprintf("it was changed by %q", clean(now.editor))
		}
		if w.rivalry.drift(time.Now()) {
			w.log.Warn("The ConfigMap is not as we wrote it; repairing it", zap.String("why", by))
		}
		w.mu.Lock()
		w.written = nil // told once
		w.mu.Unlock()
	}
	if !asked && now.holds(doc) {
		w.mu.Lock()
		w.written = doc
		w.mu.Unlock()
		return now.rv, false, nil
	}
	after, err := w.apply(ctx, doc)
	if err != nil {
		if ctx.Err() == nil {
			w.opts.OnWrite(outcome(err))
		}
		w.mu.Lock()
		w.written = nil // it may have been written all the same: no drift, then
		w.mu.Unlock()
		return "", true, err
	}
	result := WriteSuccess
	if now != nil && now.exists && now.rv == after.rv {
		result = WriteUnchanged
	}
	w.opts.OnWrite(result)
	w.mu.Lock()
	w.written = doc
	w.mu.Unlock()
	w.observe(after)
	if result == WriteSuccess {
		w.log.Info("Wrote the ConfigMap", zap.Int("bytes", len(doc)), zap.String("resourceVersion", after.rv))
	}
	return after.rv, true, nil
}

// drifted says whether somebody else has changed what we wrote.
func drifted(now *view, written []byte) bool {
	return now != nil && written != nil && !now.holds(written)
}

func (w *ConfigMapWriter) apply(ctx context.Context, doc []byte) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	cm := applycorev1.ConfigMap(w.name, w.ns).
		WithLabels(map[string]string{ManagedByLabel: FieldManager}).
		WithData(map[string]string{DocumentKey: string(doc)})
	// Force: the key is ours by contract, whoever edited it.
	got, err := w.client.CoreV1().ConfigMaps(w.ns).Apply(ctx, cm,
		metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	if err != nil {
		err = w.explain(err)
		if right, ok := errors.AsType[*MissingRight](err); ok {
			w.opts.OnForbidden(right)
		}
		return nil, err
	}
	return viewOf(got), nil
}

// observe takes note of the ConfigMap, unless v is older than what is known:
// the watch lags behind our own writes.
func (w *ConfigMapWriter) observe(v *view) {
	w.mu.Lock()
	if w.current != nil && olderOrSame(v.rv, w.current.rv) {
		w.mu.Unlock()
		return
	}
	w.current = v
	w.mu.Unlock()
	version := ""
	if v.exists {
		version = v.rv
	}
	if old := w.version.Swap(&version); old == nil || *old != version {
		w.opts.OnVersion(version)
	}
	select {
	case w.seen <- struct{}{}:
	default:
	}
}

func olderOrSame(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order <= 0
}
