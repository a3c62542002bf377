package configmap

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/follow"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// callTimeout bounds one call about a ConfigMap.
const callTimeout = 10 * time.Second

// ViewOptions configure a View. All are optional.
type ViewOptions struct {
	Logger *zap.Logger
	// OnVersion is called with each new resourceVersion of the ConfigMap; empty if there
	// is none. It is called from several goroutines, one at a time, and must not block.
	OnVersion func(version string)
	// OnForbidden is called for each call that the API server has refused because a right
	// is missing. It is called from several goroutines.
	OnForbidden func(*cluster.MissingRight)
}

// A View has the last known revision of the main ConfigMap, from a watch of its own and
// from the Writer, which sees what it writes. Overrides and Writer are notified of each
// new one.
type View struct {
	client   kubernetes.Interface
	ns, name string
	opts     ViewOptions
	log      *zap.Logger

	mu        sync.Mutex
	slot      slot
	listeners []chan struct{}
}

// A slot is the place of one ConfigMap, which need not exist.
type slot struct {
	seen *revision // nil if it is not known what is there
	err  error     // why it can't be followed
}

// NewView returns a view of the ConfigMap name in namespace. client must have no overall
// timeout, which would end the watch.
//
// The rights it needs are list and watch on configmaps, and both may be limited to this one by
// resourceNames.
func NewView(client kubernetes.Interface, namespace, name string, opts ViewOptions) *View {
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	if opts.OnVersion == nil {
		opts.OnVersion = func(string) {}
	}
	if opts.OnForbidden == nil {
		opts.OnForbidden = func(*cluster.MissingRight) {}
	}
	return &View{client: client, ns: namespace, name: name, opts: opts, log: opts.Logger.With(zap.String("configmap", namespace+"/"+name))}
}

// Run follows the ConfigMap until ctx ends. It must be called once.
func (v *View) Run(ctx context.Context) error {
	follower(v, 0, v.log, v.observe, v.unseen).Run(ctx)
	return nil
}

// follower returns a follower of the ConfigMap with this number, the main one or a part.
// Each has a watch of its own, since one watch for all would need the right to read all
// ConfigMaps of the namespace.
func follower(v *View, number int, log *zap.Logger, observe func(*revision), unseen func(error)) *follow.Follower[*corev1.ConfigMap, *corev1.ConfigMapList] {
	return &follow.Follower[*corev1.ConfigMap, *corev1.ConfigMapList]{
		Kind: "configmap", Name: nameOf(v.name, number), Client: v.client.CoreV1().ConfigMaps(v.ns), Timeout: callTimeout,
		Seen: func(cm *corev1.ConfigMap, version string, _ bool) {
			if cm == nil {
				observe(&revision{rv: version})
			} else {
				observe(revisionOf(cm, number > 0))
			}
		},
		Failed: func(err error) {
			if err != nil {
				unseen(err)
			}
		},
		Explain:      func(verb string, err error) error { return v.call(verb, number).Explain(err) },
		OnForbidden:  v.opts.OnForbidden,
		Hopeless:     func(f *cluster.FailureLog) bool { return f.Denied(cluster.VerbWatch) != nil },
		Log:          log,
		CannotFollow: "The ConfigMap cannot be followed; changes by others are not repaired until it can",
		CannotWatch:  fmt.Sprintf("The ConfigMap cannot be watched; until it can, changes by others are looked for every %s", retry.Denied),
		CanFollow:    "The ConfigMap can be followed again",
	}
}

// call returns a cluster.Call for the ConfigMap with this number.
func (v *View) call(verbs string, number int) cluster.Call {
	return cluster.Call{Verbs: verbs, Resource: "configmaps", Name: nameOf(v.name, number), Namespace: v.ns, Host: cluster.Host(v.client.CoreV1().RESTClient())}
}

// Version returns the last known resourceVersion of the ConfigMap; empty if there is
// none.
func (v *View) Version() string {
	if r := v.latest().seen; r != nil {
		return r.version()
	}
	return ""
}

// latest returns what is known about the ConfigMap.
func (v *View) latest() slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.slot
}

// listen returns a channel that gets a token whenever there is a new revision.
func (v *View) listen() chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := make(chan struct{}, 1)
	v.listeners = append(v.listeners, c)
	return c
}

// tell gives a token to all listeners. v.mu must be held.
func (v *View) tell() {
	for _, c := range v.listeners {
		poke(c)
	}
}

// observe stores a revision, unless it is older than the one that is known: the watch
// lags behind our own writes.
func (v *View) observe(r *revision) {
	v.mu.Lock()
	defer v.mu.Unlock()
	before := v.slot.seen
	if !v.slot.take(r) {
		return
	}
	if version := r.version(); before == nil || before.version() != version {
		v.opts.OnVersion(version)
	}
	v.tell()
}

// unseen notes why the ConfigMap can't be followed.
func (v *View) unseen(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slot.err = err
	v.tell()
}

// take stores a revision, unless it is older than the one that is known, and reports
// whether it did.
func (s *slot) take(r *revision) bool {
	if s.seen != nil && follow.OlderOrSame(r.rv, s.seen.rv) {
		return false
	}
	*s = slot{seen: r}
	return true
}

// nameOf returns the name of the main ConfigMap, number 0, or of a part.
func nameOf(name string, number int) string {
	if number == 0 {
		return name
	}
	return PartName(name, number)
}
