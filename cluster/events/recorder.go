// Package events sends Kubernetes Events about one object: what happened to it, for people who
// look at it with kubectl.
//
// A [Recorder] sends them one after the other and never too many. Whoever has one to send does
// not wait. An Event that can't be sent is tried again until it can: the others wait behind it,
// the latest of them, so that what was last is known once the API server takes Events.
//
// client-go's recorder (tools/events) takes two Events of the same reason for a series and keeps
// the note of the first one only; here the notes are what matters.
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

// Controller is what Events of ours name as their reportingController.
const Controller = "kubernaut.io/dynamic-toolset"

// An About says what an Event is about: its type (Normal or Warning), its reason, as programs
// read it, and what was done about it.
type About struct{ Type, Reason, Action string }

// Bounds on Events.
const (
	// MaxNote is the most that a note may have, bytes; a longer one is cut
	// (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit).
	MaxNote     = 1024
	maxInstance = 128 // likewise (ReportingInstanceLengthLimit)
	timeout     = 5 * time.Second
	// Of all Events: so many at once, and then one each so many seconds.
	burst, every = 20, 10
	// maxQueue is how many wait at most. It is less than burst, so that after a time
	// without the right there is some left for what happens next.
	maxQueue = 16
	// again is the pause before an Event that was refused is tried again: it is how soon
	// after a right is granted Events are sent.
	again = 5 * time.Second
	// life is how old an Event may get meanwhile. API servers remove those that are older
	// (kube-apiserver's --event-ttl).
	life = time.Hour
)

// Options tune a Recorder. All are optional.
type Options struct {
	Logger *zap.Logger
	// Retry is the pause before an Event that was refused is tried again; default 5 s.
	Retry time.Duration
	// OnForbidden is told of each Event that was refused for want of a right, from the
	// goroutine of Run.
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

	failures cluster.FailureLog // of the goroutine of Run
}

// NewRecorder returns a recorder of Events about the object that regarding returns, in its
// namespace. The right it needs is create on events of events.k8s.io there; it can't be
// limited by resourceNames, as the name of each Event is new.
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

// Post has an Event sent. It never blocks: what is too much is dropped, the oldest first.
func (r *Recorder) Post(about About, note string) {
	now, on := time.Now(), r.regarding()
	e := &eventsv1.Event{
		// As client-go's recorders call them. At most 253 characters.
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%.230s.%x", on.Name, now.UnixNano()), Namespace: on.Namespace},
		EventTime:  metav1.NewMicroTime(now), ReportingController: Controller, ReportingInstance: r.instance,
		Type: about.Type, Reason: about.Reason, Action: about.Action, Note: Cut(note, MaxNote),
		Regarding: on,
	}
	for {
		select {
		case r.queue <- e:
			return
		default: // the API server is slow or away
		}
		select {
		case <-r.queue: // the oldest tells least
		default:
		}
	}
}

// Run sends until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case e := <-r.queue:
			// Asked once for each Event, however often that is tried: those that are
			// refused must not use up what is allowed after.
			if r.limit.TryAccept() {
				r.deliver(ctx, e)
			}
		case <-ctx.Done():
			return
		}
	}
}

// deliver sends an Event, and tries again while it is refused; it gives up when the
// Event is too old or can never be sent, or when ctx ends.
func (r *Recorder) deliver(ctx context.Context, e *eventsv1.Event) {
	for !r.send(ctx, e) && time.Since(e.EventTime.Time) < life && retry.Sleep(ctx, retry.Jitter(r.opts.Retry, 0.1)) {
	}
}

// send tries to send an Event and reports whether it is done with.
func (r *Recorder) send(ctx context.Context, e *eventsv1.Event) (done bool) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := r.client.EventsV1().Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{FieldManager: cluster.FieldManager})
	// There already: an earlier try got through, but its answer did not.
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

// Cut shortens text to at most so many bytes.
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
