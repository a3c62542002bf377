package cluster

import (
	"context"
	"fmt"
	"sync"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
)

// A configMapWatch follows one ConfigMap for a ConfigMapWriter: the main one,
// number 0, or a part. Each has a watch of its own, as a watch of several would
// need the right to read all ConfigMaps of the namespace.
type configMapWatch struct {
	w      *ConfigMapWriter
	number int
	log    *zap.Logger
	ready  chan struct{} // closed when it is known whether the ConfigMap exists
	once   sync.Once

	mu sync.Mutex // held during a list; see scope.inCall

	// Of the goroutine of run.
	listed   bool // in this run of the Reflector
	failures failureLog
}

func newConfigMapWatch(w *ConfigMapWriter, number int) *configMapWatch {
	c := &configMapWatch{w: w, number: number, log: w.log, ready: make(chan struct{})}
	if number > 0 {
		c.log = w.log.With(zap.String("part", w.nameOf(number)))
	}
	return c
}

// run follows the ConfigMap until ctx ends.
func (c *configMapWatch) run(ctx context.Context) {
	logger, backoff := newLogr(c.log), retry
	reflector := cache.NewReflectorWithOptions(c, &corev1.ConfigMap{}, configMapStore{c},
		cache.ReflectorOptions{Name: "configmap", Logger: &logger, Backoff: &backoff})
	pause := retry
	logged := klog.NewContext(ctx, logger)
	for {
		c.listed = false
		err := reflector.ListAndWatchWithContext(logged)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			c.failed(err)
		} else {
			pause = retry
		}
		wait := pause.Step()
		if c.failures.denied(verbWatch) != nil {
			wait = jitter(deniedRetry, 0.1)
		}
		if !sleep(ctx, wait) {
			break
		}
	}
	c.mu.Lock() // a list that was left alone has ended
	defer c.mu.Unlock()
}

func (c *configMapWatch) failed(err error) {
	verb := verbList
	if c.listed {
		verb = verbWatch
	}
	err = c.w.call(verb, c.number).explain(err)
	tell, right := c.failures.note(verb, err), c.failures.right
	if right != nil {
		c.w.opts.OnForbidden(right)
	}
	c.w.unseen(c.number, err)
	if !tell {
		return
	}
	level, text := zap.WarnLevel, "The ConfigMap cannot be followed; changes by others are not repaired until it can"
	if right != nil {
		level = zap.ErrorLevel // it does not pass by itself
		if verb == verbWatch {
			text = fmt.Sprintf("The ConfigMap cannot be watched; until it can, changes by others are looked for every %s", deniedRetry)
		}
	}
	c.log.Log(level, text, zap.Error(err))
}

func (c *configMapWatch) worked(verb string) {
	if c.failures.works(verb) {
		c.log.Info("The ConfigMap can be followed again")
	}
}

func (c *configMapWatch) only(o metav1.ListOptions) metav1.ListOptions {
	o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, c.w.nameOf(c.number)).String()
	return o
}

// IsWatchListSemanticsUnSupported: see listWatch.
func (c *configMapWatch) IsWatchListSemanticsUnSupported() bool { return true }

// List implements cache.ListerWatcher.
func (c *configMapWatch) List(o metav1.ListOptions) (runtime.Object, error) {
	return c.ListWithContext(context.Background(), o)
}

// Watch implements cache.ListerWatcher.
func (c *configMapWatch) Watch(o metav1.ListOptions) (watch.Interface, error) {
	return c.WatchWithContext(context.Background(), o)
}

// ListWithContext implements cache.ListerWatcherWithContext.
func (c *configMapWatch) ListWithContext(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	o = c.only(o)
	o.ResourceVersion, o.ResourceVersionMatch = "", "" // the latest; see listWatch
	return c.w.client.CoreV1().ConfigMaps(c.w.ns).List(ctx, o)
}

// WatchWithContext implements cache.ListerWatcherWithContext.
func (c *configMapWatch) WatchWithContext(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	w, err := c.w.client.CoreV1().ConfigMaps(c.w.ns).Watch(ctx, c.only(o))
	if err == nil {
		c.worked(verbWatch)
	}
	return w, err
}

// configMapStore takes what the Reflector finds.
type configMapStore struct{ *configMapWatch }

func (s configMapStore) Add(obj any) error { return s.Update(obj) }
func (s configMapStore) Resync() error     { return nil }

func (s configMapStore) Update(obj any) error {
	s.w.observe(s.number, viewOf(obj.(*corev1.ConfigMap), s.number > 0))
	return nil
}

func (s configMapStore) Delete(obj any) error {
	s.w.observe(s.number, &view{rv: obj.(*corev1.ConfigMap).ResourceVersion})
	return nil
}

func (s configMapStore) Replace(list []any, rv string) error {
	s.listed = true
	s.worked(verbList)
	if len(list) == 0 {
		s.w.observe(s.number, &view{rv: rv})
	}
	for _, obj := range list {
		s.w.observe(s.number, viewOf(obj.(*corev1.ConfigMap), s.number > 0))
	}
	s.once.Do(func() { close(s.ready) })
	return nil
}
