package cluster

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
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/flowcontrol"
)

// EventController is what Events of ours name as their reportingController.
const EventController = "kubernaut.io/dynamic-toolset"

// An event says what an Event is about: its reason, as programs read it, and what
// was done about it.
type event struct{ kind, reason, action string }

// The Events on the main ConfigMap.
var (
	toolsetsChanged  = event{corev1.EventTypeNormal, "ToolsetsChanged", "Write"}
	documentsSplit   = event{corev1.EventTypeNormal, "DocumentsSplit", "Write"}
	documentsJoined  = event{corev1.EventTypeNormal, "DocumentsJoined", "Write"}
	documentsLarge   = event{corev1.EventTypeWarning, "DocumentsTooLarge", "Keep"}
	drifted          = event{corev1.EventTypeWarning, "DriftRepaired", "Write"}
	overridesRefused = event{corev1.EventTypeWarning, "OverridesRefused", "Ignore"}
	overridesApplied = event{corev1.EventTypeNormal, "OverridesApplied", "Apply"}
)

const (
	maxNote      = 1024 // of an Event, bytes (k8s.io/kubernetes/pkg/apis/core/validation, NoteLengthLimit)
	maxInstance  = 128  // likewise (ReportingInstanceLengthLimit)
	eventTimeout = 5 * time.Second
	// Of all Events: so many at once, and then one each so many seconds.
	eventBurst, eventEvery = 20, 10
	// eventQueue is how many wait at most. It is less than eventBurst, so that after a
	// time without the right there is some left for what happens next.
	eventQueue = 16
	// eventRetry is the pause before an Event that was refused is tried again: it is
	// how soon after a right is granted Events are sent.
	eventRetry = 5 * time.Second
	// eventLife is how old an Event may get meanwhile. API servers remove those that
	// are older (kube-apiserver's --event-ttl).
	eventLife = time.Hour
)

// An eventRecorder sends Events about the main ConfigMap, one after the other and never
// too many. Whoever has one to send does not wait. An Event that can't be sent is
// tried again until it can: the others wait behind it, the latest of them, so that
// what was last is known once the API server takes Events. client-go's recorder
// (tools/events) takes two Events of the same reason for a series and keeps the note
// of the first one only; here the notes are what matters.
type eventRecorder struct {
	w        *ConfigMapWriter
	instance string
	every    time.Duration // see diffEvery
	retry    time.Duration // see eventRetry
	limit    flowcontrol.PassiveRateLimiter
	queue    chan *eventsv1.Event

	failures failureLog // of the goroutine of run
}

func newEventRecorder(w *ConfigMapWriter) *eventRecorder {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return &eventRecorder{w: w, instance: cut(clean(host), maxInstance), every: diffEvery, retry: eventRetry, queue: make(chan *eventsv1.Event, eventQueue),
		limit: flowcontrol.NewTokenBucketPassiveRateLimiter(1./eventEvery, eventBurst)}
}

// post has an Event sent. It never blocks.
func (r *eventRecorder) post(about event, note string) {
	now := time.Now()
	e := &eventsv1.Event{
		// As client-go's recorders call them. At most 253 characters.
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%.230s.%x", r.w.name, now.UnixNano()), Namespace: r.w.ns},
		EventTime:  metav1.NewMicroTime(now), ReportingController: EventController, ReportingInstance: r.instance,
		Type: about.kind, Reason: about.reason, Action: about.action, Note: cut(note, maxNote),
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: r.w.ns, Name: r.w.name},
	}
	if v := r.w.view(0); v != nil && v.exists {
		e.Regarding.UID, e.Regarding.ResourceVersion = types.UID(v.uid), v.rv
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

// run sends until ctx ends.
func (r *eventRecorder) run(ctx context.Context) {
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
func (r *eventRecorder) deliver(ctx context.Context, e *eventsv1.Event) {
	for !r.send(ctx, e) && time.Since(e.EventTime.Time) < eventLife && sleep(ctx, jitter(r.retry, 0.1)) {
	}
}

// send tries to send an Event and reports whether it is done with.
func (r *eventRecorder) send(ctx context.Context, e *eventsv1.Event) (done bool) {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	_, err := r.w.client.EventsV1().Events(r.w.ns).Create(ctx, e, metav1.CreateOptions{FieldManager: FieldManager})
	// There already: an earlier try got through, but its answer did not.
	if err == nil || apierrors.IsAlreadyExists(err) {
		if r.failures.works("create") {
			r.w.log.Info("Events can be sent again")
		}
		return true
	}
	c := r.w.call("create", 0)
	c.resource, c.name = "events", ""
	never := apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsRequestEntityTooLargeError(err)
	err = c.explain(err)
	tell := r.failures.note("create", err)
	if r.failures.right != nil {
		r.w.opts.OnForbidden(r.failures.right)
	}
	if tell {
		r.w.log.Warn("An Event could not be sent; the ConfigMap is written all the same", zap.String("reason", e.Reason), zap.Error(err))
	}
	return never
}

// cut shortens text to at most so many bytes.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := most - len("...")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
