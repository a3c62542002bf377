// Package kubernetes watches the Services of a cluster through its API server.
//
// A [Source] lists the Services of each namespace that it should watch, or of all, and
// then watches them (scope.go). The Services of several namespaces go to one sink, at
// first all at once, since half of the state would look like all of it (fanin.go). Every
// few seconds the Source also asks the API server whether it is ready, so that a silent
// outage is known within seconds (checker.go), and notes whether anything is received on
// its connections (conns.go).
//
// A Source differs from client-go's informers in three ways. It keeps no copy of the
// Services, since the sink keeps what it needs. It can list everything again on request
// and report when that is done (Relist). And it recovers within a second or two after an
// outage, where informers wait for up to a minute.
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

// Options configure a Source. Only Sink is required.
type Options struct {
	Sink   cluster.Sink
	Logger *zap.Logger // default: none
	// Namespaces lists the namespaces to watch; empty for all. With a list, Roles in
	// these namespaces are enough, instead of a ClusterRole.
	Namespaces []string
	// Resync is how often everything is listed again although the watch works, as a
	// safety net. Default 5 min, varied by 10 %.
	Resync time.Duration
	// CheckInterval is how often the API server is asked whether it is ready, and
	// CheckTimeout how long the two requests of a check may take together. A silent
	// outage is noticed within their sum. Defaults 2.5 s and 3 s.
	CheckInterval, CheckTimeout time.Duration
	// ListTimeout bounds the time for one page of a list; default 30 s.
	ListTimeout time.Duration
	// PageSize is the number of Services on one page of a list; default 2,000, which are
	// a few megabytes. Each page is a call, and calls are limited (see cluster.Connect).
	PageSize int64
	// OnForbidden is called for each call that the API server has refused because a right
	// is missing. It must not block.
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

// New returns a source for the cluster of cfg (see cluster.Connect). It makes no call.
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
	// As protobuf, Services take a third of the bytes and of the time.
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

// Client returns a client of the same cluster for other uses, such as a configmap.View.
// After an outage without any data, its connections are closed and opened again, so that
// nobody waits on a dead one.
func (k *Source) Client() kubernetes.Interface { return k.client }

// Check tries to list Services, and returns an error that explains why if it can't: wrong
// address, wrong credentials, missing rights. It is for use before Run, by a program that
// would rather stop than wait. Run itself waits and tries again.
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

// Run implements cluster.Source. It never gives up; Status and the log say what is wrong.
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
		// Varied, so that replicas that have started together do not list together.
		if !retry.Sleep(ctx, retry.Jitter(k.opts.Resync, 0.1)) {
			return
		}
		for _, s := range k.scopes {
			s.relist(nil)
		}
	}
}

// back is called when the checker finds that the API server answers, for the first time
// or again after an outage.
//
// After an outage in which nothing was received, the watch may be dead without an error,
// so everything is listed again on new connections. If something was received, the server
// was only slow, and a list would make it slower: the watch goes on. For the same reason
// a list that waits for its answer may go on waiting for a while.
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

// Relist implements cluster.Source. It lists all Services of the watched namespaces once.
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
