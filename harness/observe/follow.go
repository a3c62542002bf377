package observe

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// retryPause is the time before the next list. client-go's reflector backs off up
	// to 30 s after an outage of the API server, and a rolling update in that time
	// would not be seen.
	retryPause = 200 * time.Millisecond
	// watchTimeout is how long the API server keeps one watch.
	watchTimeout = 5 * time.Minute
	listTimeout  = 10 * time.Second
)

// A resource is listed, and then watched.
type resource struct {
	selector string // of labels; empty for all
	list     func(context.Context, metav1.ListOptions) (runtime.Object, error)
	watch    func(context.Context, metav1.ListOptions) (watch.Interface, error)
	// reset is called with each complete list, change with each change after it.
	reset  func([]runtime.Object)
	change func(watch.EventType, runtime.Object)
	// failed is called if the list or the watch fails, once per outage.
	failed func(error)
}

// follow lists and watches until ctx ends, through outages of the API server.
func (r *resource) follow(ctx context.Context) {
	told := false
	for ctx.Err() == nil {
		err := r.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !told {
			r.failed(err)
		}
		told = err != nil
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return
		}
	}
}

// once lists, and then watches until the watch ends.
func (r *resource) once(ctx context.Context) error {
	listCtx, cancel := context.WithTimeout(ctx, listTimeout)
	list, err := r.list(listCtx, metav1.ListOptions{LabelSelector: r.selector})
	cancel()
	if err != nil {
		return err
	}
	about, err := meta.ListAccessor(list)
	if err != nil {
		return err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return err
	}
	r.reset(items)
	seconds := int64(watchTimeout.Seconds())
	w, err := r.watch(ctx, metav1.ListOptions{LabelSelector: r.selector, ResourceVersion: about.GetResourceVersion(), TimeoutSeconds: &seconds})
	if err != nil {
		return err
	}
	defer w.Stop()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok || e.Type == watch.Error {
				return nil // it expired or broke
			}
			r.change(e.Type, e.Object)
		case <-ctx.Done():
			return nil
		}
	}
}
