// Package observe watches the target under load: its pods, their EndpointSlices, and
// Events. It reads the pods' logs, and probes each terminating pod directly, ten times
// a second, for readiness and liveness.
//
// All times are by the harness's clock, when it saw something, except those of log
// lines, which the container runtime sets.
package observe

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// Options say what to observe.
type Options struct {
	Client    kubernetes.Interface
	Namespace string
	Selector  labels.Selector // of the target's pods
	Service   string          // its EndpointSlices are watched
	Container string          // its log and exit are recorded

	// Dial connects to the pods directly.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// The probes; none if the path is empty.
	ReadinessPort, LivenessPort int
	ReadinessPath, LivenessPath string
	// Port serves the traffic. If neither probe above asks there, connections are made to
	// it and closed again; 0: none.
	Port int

	// Milestones are the log lines to keep in Pod.Milestones. Signal is the line by
	// which a pod says that it received SIGTERM; empty if there is none.
	Milestones []string
	Signal     string
}

// Bounds of what one run keeps.
const (
	maxEvents = 2000
	maxPods   = 2000
	logTail   = 60 // last lines per pod
)

// Observer observes one target, from Start until Stop.
type Observer struct {
	opts   Options
	cancel context.CancelFunc
	work   sync.WaitGroup
	// Closed when there was a first list.
	podsListed, slicesListed chan struct{}
	eventsListed             chan struct{} // also closed when they can't be listed

	mu     sync.Mutex
	pods   map[string]*pod // by UID
	order  []string        // UIDs in the order in which they were first seen
	ready  map[string]bool // addresses that any slice has as ready
	slices map[string][]string
	events []record.EventLine
	seen   map[string]int32 // counts of Events, by UID
	life   context.Context
	began  time.Time
	notes  []string
}

// A pod is the record of a pod, and what ends the goroutines that write it.
type pod struct {
	record.Pod
	uid     string
	logging context.CancelFunc // stops reading the log; nil before that begins
	probing context.CancelFunc // stops the probes; nil before they begin
}

// Start begins to observe, and returns when pods, slices and Events have been listed; Events
// need not be, since there may be no right to. An error means that ctx ended before that.
func Start(ctx context.Context, o Options) (*Observer, error) {
	life, cancel := context.WithCancel(context.Background())
	ob := &Observer{
		opts: o, life: life, cancel: cancel, began: time.Now(),
		podsListed: make(chan struct{}), slicesListed: make(chan struct{}), eventsListed: make(chan struct{}),
		pods: map[string]*pod{}, ready: map[string]bool{}, slices: map[string][]string{}, seen: map[string]int32{},
	}
	for _, r := range []*resource{ob.followPods(), ob.followSlices(), ob.followEvents()} {
		ob.work.Go(func() { r.follow(life) })
	}
	for _, listed := range []<-chan struct{}{ob.podsListed, ob.slicesListed, ob.eventsListed} {
		select {
		case <-listed:
		case <-ctx.Done():
			ob.Stop()
			return nil, fmt.Errorf("the target's pods could not be listed: %w", ctx.Err())
		}
	}
	return ob, nil
}

// Stop ends the observation. Pods, Events and Notes no longer change then.
func (o *Observer) Stop() {
	o.cancel()
	o.work.Wait()
}

// Pods returns the pods, in the order in which they were first seen.
func (o *Observer) Pods() []record.Pod {
	o.mu.Lock()
	defer o.mu.Unlock()
	pods := make([]record.Pod, 0, len(o.order))
	for _, uid := range o.order {
		p := o.pods[uid].Pod
		p.Probes, p.Log, p.Milestones = slices.Clone(p.Probes), slices.Clone(p.Log), slices.Clone(p.Milestones)
		pods = append(pods, p)
	}
	return pods
}

// Events returns the Events since the start.
func (o *Observer) Events() []record.EventLine {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.events)
}

// Notes returns sentences about what could not be observed.
func (o *Observer) Notes() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.notes)
}

func (o *Observer) outage(what string) func(error) {
	return func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		if len(o.notes) < 20 {
			o.notes = append(o.notes, fmt.Sprintf("From %.1f s on %s could not be followed for a while: %v", time.Since(o.began).Seconds(), what, err))
		}
	}
}

func (o *Observer) followPods() *resource {
	api := o.opts.Client.CoreV1().Pods(o.opts.Namespace)
	listed := sync.OnceFunc(func() { close(o.podsListed) })
	return &resource{
		selector: o.opts.Selector.String(),
		list:     func(ctx context.Context, lo metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, lo) },
		watch:    api.Watch,
		reset: func(items []runtime.Object) {
			now, there := time.Now(), map[string]bool{}
			for _, item := range items {
				p := item.(*corev1.Pod)
				there[string(p.UID)] = true
				o.podChanged(p, now)
			}
			o.mu.Lock()
			for uid, p := range o.pods {
				if !there[uid] {
					o.podGone(p, now, false)
				}
			}
			o.mu.Unlock()
			listed()
		},
		change: func(t watch.EventType, item runtime.Object) {
			p, ok := item.(*corev1.Pod)
			if !ok {
				return
			}
			now := time.Now()
			o.podChanged(p, now)
			if t == watch.Deleted {
				o.mu.Lock()
				if known := o.pods[string(p.UID)]; known != nil {
					o.podGone(known, now, true)
				}
				o.mu.Unlock()
			}
		},
		failed: o.outage("the pods"),
	}
}

func (o *Observer) followSlices() *resource {
	api := o.opts.Client.DiscoveryV1().EndpointSlices(o.opts.Namespace)
	listed := sync.OnceFunc(func() { close(o.slicesListed) })
	return &resource{
		selector: discoveryv1.LabelServiceName + "=" + o.opts.Service,
		list:     func(ctx context.Context, lo metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, lo) },
		watch:    api.Watch,
		reset: func(items []runtime.Object) {
			o.mu.Lock()
			clear(o.slices)
			for _, item := range items {
				s := item.(*discoveryv1.EndpointSlice)
				o.slices[s.Name] = readyAddresses(s)
			}
			o.endpointsChanged(time.Now())
			o.mu.Unlock()
			listed()
		},
		change: func(t watch.EventType, item runtime.Object) {
			s, ok := item.(*discoveryv1.EndpointSlice)
			if !ok {
				return
			}
			o.mu.Lock()
			o.slices[s.Name] = readyAddresses(s)
			if t == watch.Deleted {
				delete(o.slices, s.Name)
			}
			o.endpointsChanged(time.Now())
			o.mu.Unlock()
		},
		failed: o.outage("the EndpointSlices"),
	}
}

// readyAddresses returns the addresses to which nodes may route.
func readyAddresses(s *discoveryv1.EndpointSlice) []string {
	var ready []string
	for _, e := range s.Endpoints {
		// nil means ready (discovery/v1, EndpointConditions).
		if e.Conditions.Ready == nil || *e.Conditions.Ready {
			ready = append(ready, e.Addresses...)
		}
	}
	return ready
}

// endpointsChanged records which pods no slice has any more. o.mu must be held.
func (o *Observer) endpointsChanged(now time.Time) {
	clear(o.ready)
	for _, addresses := range o.slices {
		for _, a := range addresses {
			o.ready[a] = true
		}
	}
	for _, p := range o.pods {
		o.checkEndpoint(p, now)
	}
}

// checkEndpoint sets EndpointGone of a terminating pod. o.mu must be held.
func (o *Observer) checkEndpoint(p *pod, now time.Time) {
	if !p.Deleted.IsZero() && p.EndpointGone.IsZero() && p.IP != "" && !o.ready[p.IP] {
		p.EndpointGone = now
	}
}

func (o *Observer) followEvents() *resource {
	api := o.opts.Client.CoreV1().Events(o.opts.Namespace)
	listed := sync.OnceFunc(func() { close(o.eventsListed) })
	before := true // what the first list has is from before the run
	return &resource{
		list:  func(ctx context.Context, lo metav1.ListOptions) (runtime.Object, error) { return api.List(ctx, lo) },
		watch: api.Watch,
		reset: func(items []runtime.Object) {
			for _, item := range items {
				if e, ok := item.(*corev1.Event); ok {
					o.noteEvent(e, before)
				}
			}
			before = false
			listed()
		},
		change: func(t watch.EventType, item runtime.Object) {
			e, ok := item.(*corev1.Event)
			if !ok || t == watch.Deleted {
				return
			}
			o.podKilled(e)
			o.noteEvent(e, false)
		},
		failed: func(error) { listed() }, // the pods' outage has a note
	}
}

// podKilled sets Killing of the pod that an Event is about, which has just come.
func (o *Observer) podKilled(e *corev1.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p := o.pods[string(e.InvolvedObject.UID)]; p != nil && e.Reason == "Killing" && !p.Deleted.IsZero() && p.Killing.IsZero() {
		p.Killing = time.Now() // the Event's own time is in whole seconds
	}
}

// noteEvent records an Event, each time that it has happened again, unless it is from before
// the run.
func (o *Observer) noteEvent(e *corev1.Event, before bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	count := max(e.Count, 1)
	if o.seen[string(e.UID)] >= count || len(o.events) >= maxEvents {
		return
	}
	o.seen[string(e.UID)] = count
	if before {
		return
	}
	o.events = append(o.events, record.EventLine{
		At: time.Now(), Object: e.InvolvedObject.Kind + "/" + e.InvolvedObject.Name,
		Reason: e.Reason, Message: e.Message, Warning: e.Type == corev1.EventTypeWarning,
	})
}

// Count returns the number of ready and of terminating pods.
func (o *Observer) Count() (ready, terminating int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.pods {
		switch {
		case !p.Gone.IsZero():
		case !p.Deleted.IsZero():
			terminating++
		case !p.Ready.IsZero():
			ready++
		}
	}
	return ready, terminating
}
