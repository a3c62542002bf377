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

// ViewOptions tune a View. All are optional.
type ViewOptions struct {
	Logger *zap.Logger
	// OnVersion is told each new version of the ConfigMap, its resourceVersion; empty if
	// there is none. It is called from several goroutines, one at a time, and must not block.
	OnVersion func(version string)
	// OnForbidden is told of each call that the API server refused for want of a right. It
	// is called from several goroutines.
	OnForbidden func(*cluster.MissingRight)
}

// A View is the main ConfigMap as it was last seen: by a watch of its own, and by the Writer,
// which sees what it writes. Overrides and Writer are told of what is new.
type View struct {
	client   kubernetes.Interface
	ns, name string
	opts     ViewOptions
	log      *zap.Logger

	mu        sync.Mutex
	slot      slot
	listeners []chan struct{}
}

// A slot is where a ConfigMap of ours may be.
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

// Run follows the ConfigMap until ctx ends. It is called once.
func (v *View) Run(ctx context.Context) error {
	follower(v, 0, v.log, v.observe, v.unseen).Run(ctx)
	return nil
}

// follower follows the ConfigMap of this number, the main one or a part. Each has a watch of
// its own, as a watch of several would need the right to read all ConfigMaps of the namespace.
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

// call is one that is about the ConfigMap of this number.
func (v *View) call(verbs string, number int) cluster.Call {
	return cluster.Call{Verbs: verbs, Resource: "configmaps", Name: nameOf(v.name, number), Namespace: v.ns, Host: cluster.Host(v.client.CoreV1().RESTClient())}
}

// Version is the ConfigMap's resourceVersion as last seen; empty if there is none.
func (v *View) Version() string {
	if r := v.latest().seen; r != nil {
		return r.version()
	}
	return ""
}

// latest is what is known of the ConfigMap.
func (v *View) latest() slot {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.slot
}

// listen returns a channel that gets a token whenever there is something new.
func (v *View) listen() chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := make(chan struct{}, 1)
	v.listeners = append(v.listeners, c)
	return c
}

// tell gives a token to all who listen. v.mu is held.
func (v *View) tell() {
	for _, c := range v.listeners {
		poke(c)
	}
}

// observe takes note of a revision, unless it is older than what is known: the watch lags
// behind our own writes.
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

// unseen takes note that the ConfigMap can't be followed.
func (v *View) unseen(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.slot.err = err
	v.tell()
}

// take takes note of a revision, unless it is older than what is known, and reports whether it
// did.
func (s *slot) take(r *revision) bool {
	if s.seen != nil && follow.OlderOrSame(r.rv, s.seen.rv) {
		return false
	}
	*s = slot{seen: r}
	return true
}

// nameOf is the name of the main ConfigMap, number 0, or of a part.
func nameOf(name string, number int) string {
	if number == 0 {
		return name
	}
	return PartName(name, number)
}
