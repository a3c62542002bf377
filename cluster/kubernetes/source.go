// Package kubernetes watches the Services of a cluster by its API server.
//
// A [Source] lists the Services of each namespace it is to watch, or of all, and follows
// them by a watch (scope.go). What several namespaces have goes to one sink, the first time
// all at once: half a state would look whole (fanin.go). Beside that it asks the API server
// every few seconds whether it is ready, so that a silent outage is known within seconds
// (checker.go), and hears whether anything comes in on its connections (conns.go).
//
// A Source differs from an informer of client-go in three ways, each for a reason. It keeps
// no copy of the Services, as its sink has what it wants of them. It can be told to read
// everything afresh, now, and say when it has (Relist). And it is back within a second or two
// after an outage, where informers back off up to a minute.
package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/retry"
)

// Options tune a Source. Only Sink is required.
type Options struct {
	Sink   cluster.Sink
	Logger *zap.Logger // default: none
	// Namespaces to watch; empty for all. A list needs only Roles in these
	// namespaces instead of a ClusterRole.
	Namespaces []string
	// Resync is how often everything is listed anew although the watch seems
	// fine; a safety net. Default 5 min, spread by 10 %.
	Resync time.Duration
	// CheckInterval is how often the API server is asked whether it is ready,
	// and CheckTimeout how long both attempts of one check may take. Their sum
	// bounds how long a silent outage stays unnoticed. Default 2.5 s and 3 s.
	CheckInterval, CheckTimeout time.Duration
	// ListTimeout bounds the reading of one page of Services; default 30 s.
	ListTimeout time.Duration
	// PageSize is how many Services one page of a list holds; default 2,000:
	// some megabytes. Each page is a call, and calls are limited (see cluster.Connect).
	PageSize int64
	// OnForbidden is told of each call that the API server refused for want of
	// a right. It must not block.
	OnForbidden func(*cluster.MissingRight)
}

func (o *Options) defaults() error {
	if o.Sink == nil {
		return errors.New("kubernetes: Options.Sink is required")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	for _, d := range []struct {
		v   *time.Duration
		def time.Duration
	}{
		{&o.Resync, 5 * time.Minute},
		{&o.CheckInterval, 2500 * time.Millisecond},
		{&o.CheckTimeout, 3 * time.Second},
		{&o.ListTimeout, 30 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.def
		}
	}
	if o.OnForbidden == nil {
		o.OnForbidden = func(*cluster.MissingRight) {}
	}
	if o.PageSize <= 0 {
		o.PageSize = 2000
	}
	for _, ns := range o.Namespaces {
		if msgs := validation.IsDNS1123Label(ns); len(msgs) > 0 {
			return fmt.Errorf("%q cannot be a namespace: %s", cluster.Clean(ns), strings.Join(msgs, "; "))
		}
	}
	o.Namespaces = slices.Compact(slices.Sorted(slices.Values(o.Namespaces)))
	if len(o.Namespaces) == 0 {
		o.Namespaces = []string{metav1.NamespaceAll}
	}
	return nil
}

// A Source watches the Services of a cluster. It is a cluster.Source.
type Source struct {
	opts    Options
	log     *zap.Logger
	host    string
	client  kubernetes.Interface
	http    *http.Client
	conns   *ownConnections
	checker *checker
	fan     *fanIn
	scopes  []*scope
	running atomic.Bool
}

// New returns a source for the cluster that cfg reaches (see cluster.Connect). It makes
// no call.
func New(cfg *rest.Config, opts Options) (*Source, error) {
	if err := opts.defaults(); err != nil {
		return nil, err
	}
	k := &Source{opts: opts, log: opts.Logger, host: cfg.Host}
	var err error
	if k.checker, err = newChecker(cfg, opts); err != nil {
		return nil, err
	}
	cfg, k.conns = withOwnConnections(cfg)
	cfg.Timeout = 0 // would end every watch; each call has its own deadline
	// Services as protobuf take a third of the bytes and of the time.
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	if k.http, err = rest.HTTPClientFor(cfg); err != nil {
		return nil, fmt.Errorf("the configuration for the API server at %s cannot be used: %w", cfg.Host, err)
	}
	if k.client, err = kubernetes.NewForConfigAndClient(cfg, k.http); err != nil {
		return nil, fmt.Errorf("the configuration for the API server at %s cannot be used: %w", cfg.Host, err)
	}
	k.checker.heardSince, k.checker.back = k.conns.heardSince, k.back
	k.fan = newFanIn(opts.Sink, len(opts.Namespaces))
	for i, ns := range opts.Namespaces {
		k.scopes = append(k.scopes, newScope(k, i, ns))
	}
	return k, nil
}

// Client returns a client of the same cluster for other uses, such as a
// configmap.Writer. Its connections are cut and made anew after an outage in which they
// were silent, so that nobody waits on dead ones.
func (k *Source) Client() kubernetes.Interface { return k.client }

// Check tries whether Services can be listed, and explains why if not: wrong
// address, credentials, missing rights. For use before Run by a program that
// would rather stop than wait; Run itself waits and retries.
func (k *Source) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, s := range k.scopes {
		if _, err := k.client.CoreV1().Services(s.namespace).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return s.call("list").Explain(err)
		}
	}
	return nil
}

// Run implements cluster.Source. It retries forever; what is wrong is logged and in
// Status.
func (k *Source) Run(ctx context.Context) error {
	if !k.running.CompareAndSwap(false, true) {
		return errors.New("kubernetes: Source.Run was called twice")
	}
	var wg sync.WaitGroup
	for _, s := range k.scopes {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Go(func() { k.checker.run(ctx) })
	wg.Go(func() { k.resync(ctx) })
	wg.Wait()
	k.http.CloseIdleConnections()
	k.conns.CloseAll()
	return nil
}

func (k *Source) resync(ctx context.Context) {
	for {
		// Spread, so that replicas that started together do not list together.
		if !retry.Sleep(ctx, retry.Jitter(k.opts.Resync, 0.1)) {
			return
		}
		for _, s := range k.scopes {
			s.relist(nil)
		}
	}
}

// back is called when the checker finds the API server answering, for the first time or
// again.
//
// After an outage the state is listed anew, by new connections if nothing has come in on
// those that there are: then the watch may be dead without an error. Where something has
// come in, it was a server that took its time, and every list would take more of it: the
// watch goes on. For the same reason a list that is waiting for its answer is left to wait
// for a while.
func (k *Source) back(after outage) {
	if after.first {
		for _, s := range k.scopes {
			s.poke()
		}
		return
	}
	if k.conns.heardSince(after.began) {
		return
	}
	if time.Since(after.began) < k.opts.ListTimeout/3 && slices.ContainsFunc(k.scopes, (*scope).lists) {
		return
	}
	k.conns.CloseAll()
	for _, s := range k.scopes {
		s.restart()
	}
}

// Relist implements cluster.Source: one list of all Services of the watched namespaces.
func (k *Source) Relist(ctx context.Context) error {
	done := make(chan error, len(k.scopes))
	for _, s := range k.scopes {
		s.relist(done)
	}
	var errs []error
	for range k.scopes {
		select {
		case err := <-done:
			errs = append(errs, err)
		case <-ctx.Done():
			return fmt.Errorf("the Services were not listed in time: %w", context.Cause(ctx))
		}
	}
	return errors.Join(errs...)
}

// FirstSync implements cluster.Source.
func (k *Source) FirstSync() <-chan struct{} { return k.fan.first }

// Status implements cluster.Source.
func (k *Source) Status() cluster.Availability {
	a := k.checker.status()
	select {
	case <-k.fan.first:
		a.Synced = true
	default:
	}
	for _, s := range k.scopes {
		p := s.problem()
		if a.LastError == "" {
			a.LastError = p.Text
		}
		if right := p.Denied(cluster.VerbList); right != nil && (a.Denied == nil || p.Since.Before(a.DeniedSince)) {
			a.Denied, a.DeniedSince = right, p.Since
		}
	}
	return a
}
