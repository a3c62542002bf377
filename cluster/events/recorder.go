// Package events sends Kubernetes Events about one object, which tell people who look at
// it with kubectl what has happened to it.
//
// A [Recorder] sends them one after the other, at a limited rate, and its callers never
// wait. An Event that can't be sent is tried again. The latest of the others wait behind
// it, so that the last state is known once the API server accepts Events again.
//
// client-go's recorder (tools/events) combines Events with the same reason into a series
// and keeps only the first note. Here the notes are what matters.
package events

import (
	"context"
	"fmt"
	"os"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/flowcontrol"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// Controller is the reportingController of our Events.
const Controller = "kubernaut.io/dynamic-toolset"

// An About says what an Event is about: its type (Normal or Warning), its reason in the
// form that programs read, and what was done.
type About struct{ Type, Reason, Action string }

// Bounds on Events.
const (
	// MaxNote is the length of the longest note, in bytes; a longer one is cut
	// (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit).
	MaxNote     = 1024
	maxInstance = 128 // in the same way (ReportingInstanceLengthLimit)
	timeout     = 5 * time.Second
	// burst Events may be sent at once, and then one every so many seconds.
	burst, every = 20, 10
	// maxQueue bounds how many Events wait. It is less than burst, so that some of the
	// burst is left for what happens after a right was missing for a while.
	maxQueue = 16
	// again is the pause before an Event that was refused is sent again. So that long
	// after a right is granted, Events are sent.
	again = 5 * time.Second
	// life is the age after which an Event is dropped. API servers delete Events that are
	// older (kube-apiserver's --event-ttl).
	life = time.Hour
)

// Options configure a Recorder. All are optional.
type Options struct {
	Logger *zap.Logger
	// Retry is the pause before an Event that was refused is sent again; default 5 s.
	Retry time.Duration
	// OnForbidden is called for each Event that was refused because a right is missing,
	// from the goroutine of Run.
	OnForbidden func(*cluster.MissingRight)
}

// A Recorder sends Events about one object.
type Recorder struct {
	client    kubernetes.Interface
	regarding func() corev1.ObjectReference
	instance  string
	opts      Options
	limit     flowcontrol.PassiveRateLimiter
	queue     chan *eventsv1.Event

	failures cluster.FailureLog // belongs to the goroutine of Run
}

// NewRecorder returns a recorder of Events about the object that regarding returns, in
// its namespace. It needs the right create on events of events.k8s.io there, which can't
// be limited by resourceNames since each Event has a new name.
func NewRecorder(client kubernetes.Interface, regarding func() corev1.ObjectReference, opts Options) *Recorder {
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.Retry <= 0 {
		opts.Retry = again
	}
	if opts.OnForbidden == nil {
		opts.OnForbidden = func(*cluster.MissingRight) {}
	}
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return &Recorder{
		client: client, regarding: regarding, instance: Cut(cluster.Clean(host), maxInstance), opts: opts,
		limit: flowcontrol.NewTokenBucketPassiveRateLimiter(1./every, burst), queue: make(chan *eventsv1.Event, maxQueue),
	}
}

// Post queues an Event. It never blocks: if the queue is full, the oldest Event is
// dropped.
func (r *Recorder) Post(about About, note string) {
	now, on := time.Now(), r.regarding()
	e := &eventsv1.Event{
		// A name in the form of client-go's recorders. It has at most 253 characters.
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%.230s.%x", on.Name, now.UnixNano()), Namespace: on.Namespace},
		EventTime:  metav1.NewMicroTime(now), ReportingController: Controller, ReportingInstance: r.instance,
		Type: about.Type, Reason: about.Reason, Action: about.Action, Note: Cut(note, MaxNote),
		Regarding: on,
	}
	for {
		select {
		case r.queue <- e:
			return
		default: // the queue is full: the API server is slow or away
		}
		select {
		case <-r.queue: // the oldest is the least useful
		default:
		}
	}
}

// Run sends until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case e := <-r.queue:
			// The limit counts each Event once, however often it is tried, so that
			// refused Events don't use up what is allowed later.
			if r.limit.TryAccept() {
				r.deliver(ctx, e)
			}
		case <-ctx.Done():
			return
		}
	}
}

// deliver sends an Event, again and again while it is refused. It gives up when the Event
// is too old or can never be sent, or when ctx ends.
func (r *Recorder) deliver(ctx context.Context, e *eventsv1.Event) {
	for !r.send(ctx, e) && time.Since(e.EventTime.Time) < life && retry.Sleep(ctx, retry.Jitter(r.opts.Retry, 0.1)) {
	}
}

// send tries to send an Event, and reports whether it need not be tried again.
func (r *Recorder) send(ctx context.Context, e *eventsv1.Event) (done bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := r.client.EventsV1().Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{FieldManager: cluster.FieldManager})
	// It exists already if an earlier attempt succeeded and its answer was lost.
	if err == nil || apierrors.IsAlreadyExists(err) {
		if r.failures.Works("create") {
			r.opts.Logger.Info("Events can be sent again")
		}
		return true
	}
	never := apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
	call := cluster.Call{Verbs: "create", Resource: "events", Namespace: e.Namespace, Host: cluster.Host(r.client.EventsV1().RESTClient())}
	err = call.Explain(err)
	tell := r.failures.Note("create", err)
	if r.failures.Right != nil {
		r.opts.OnForbidden(r.failures.Right)
	}
	if tell {
		r.opts.Logger.Warn("An Event could not be sent; the ConfigMap is written all the same", zap.String("reason", e.Reason), zap.Error(err))
	}
	return never
}

// Cut shortens a text that is longer than most bytes; then it ends in "...".
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - len("...")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
