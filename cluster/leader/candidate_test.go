package leader

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"kubernaut.io/dynamic-toolset/cluster"
	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
)

const leaseName = "writer"

// A candidate is a Candidate, and records what it reports.
type candidate struct {
	*Candidate
	leading atomic.Bool
	terms   atomic.Int32
	refused atomic.Int32
	end     context.CancelFunc
	ended   chan struct{}
}

// briskLease is short, but long enough for a renewal on a busy machine.
const briskLease = 5 * time.Second

// brisk sets times that are shorter than those in production.
func brisk(o *Options) {
	o.LeaseDuration, o.RenewDeadline, o.RetryPeriod = briskLease, briskLease-time.Second, 300*time.Millisecond
}

// campaign makes a candidate and runs it until the end of the test, or until end is called.
func (a *api) campaign(t *testing.T, client kubernetes.Interface, lease, identity string, change ...func(*Options)) *candidate {
	t.Helper()
	c := &candidate{ended: make(chan struct{})}
	opts := Options{Logger: clustertest.Logger(t)}
	opts.OnLead = func(leading bool) {
		if c.leading.Swap(leading) == leading {
			t.Errorf("%s was told %t twice", identity, leading)
		}
		if _, ok := c.Fence(); ok && !leading {
			t.Errorf("%s is told that it leads no more while its fence is open", identity)
		}
		if leading {
			c.terms.Add(1)
		}
	}
	opts.OnForbidden = func(*cluster.MissingRight) { c.refused.Add(1) }
	for _, f := range change {
		f(&opts)
	}
	c.Candidate = New(client, a.NS, lease, identity, opts)
	ctx, cancel := context.WithCancel(context.Background())
	c.end = cancel
	clustertest.Background(t, func(test context.Context) error {
		defer context.AfterFunc(test, cancel)()
		defer close(c.ended)
		return c.Run(ctx)
	})
	return c
}

func (c *candidate) token() string { token, _ := c.Fence(); return token }

// client returns a client for one candidate alone, as the service has it.
func (a *api) client(t *testing.T, change ...func(*rest.Config)) kubernetes.Interface {
	t.Helper()
	cfg := a.CP.RESTConfig()
	cfg.QPS, cfg.Burst = 20, 40 // as in cluster.Connect
	for _, f := range change {
		f(cfg)
	}
	return apiserver.Client(t, cfg)
}

func (a *api) lease(name string) *coordinationv1.Lease {
	a.T.Helper()
	lease, err := a.CoordinationV1().Leases(a.NS).Get(a.T.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		a.T.Fatal(err)
	}
	return lease
}

// leader waits until exactly one of them leads, and returns it and the others.
func leader(t *testing.T, within time.Duration, all ...*candidate) (first *candidate, others []*candidate) {
	t.Helper()
	testenv.Eventually(t, within, "one leads", func() bool {
		first, others = nil, nil
		for _, c := range all {
			if c.leading.Load() && c.token() != "" && first == nil {
				first = c
			} else {
				others = append(others, c)
			}
		}
		return first != nil
	})
	return first, others
}

// neverTwo checks the fences until the end of the test: two must never hold at once.
func neverTwo(t *testing.T, all ...*candidate) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for ; !clustertest.IsClosed(stop); time.Sleep(500 * time.Microsecond) {
			for _, c := range all {
				before := c.token()
				if before == "" {
					continue
				}
				for _, other := range all {
					// c held its fence before and after, in the same term, and so also in
					// between.
					if token := other.token(); other != c && token != "" && c.token() == before {
						t.Errorf("two at once: %s and %s", before, token)
						return
					}
				}
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}

// One candidate leads, and the others know which. When it releases the Lease, another one
// leads within a second, in a term with another token. The last one releases the Lease as
// well.
func TestLeaderHandsOver(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	var all []*candidate
	for i := range 3 {
		all = append(all, a.campaign(t, a.client(t), leaseName, fmt.Sprint("replica-", i)))
	}
	neverTwo(t, all...)
	tokens := map[string]bool{}
	for len(all) > 0 {
		now, others := leader(t, 5*time.Second, all...)
		token := now.token()
		if tokens[token] || !strings.HasPrefix(token, now.Identity()+"/") {
			t.Errorf("token %q, after %v", token, tokens)
		}
		tokens[token] = true
		for _, c := range others {
			testenv.Eventually(t, soon, "the others know who leads", func() bool { return c.Holder() == now.Identity() && c.Vacant() == nil })
			if c.Leads() || c.token() != "" {
				t.Errorf("%s leads too", c.Identity())
			}
		}
		lease := a.lease(leaseName)
		if got := *lease.Spec.LeaseDurationSeconds; got != 15 || *lease.Spec.HolderIdentity != now.Identity() || lease.Labels[cluster.ManagedByLabel] != cluster.FieldManager {
			t.Errorf("the Lease: %+v", lease)
		}
		time.Sleep(100 * time.Millisecond) // until all watch
		start := testenv.Start()
		now.Release()
		if len(others) > 0 {
			leader(t, soon, others...)
			t.Logf("taken over after %v", start.Within(t, time.Second, "another one takes over"))
		}
		testenv.Eventually(t, soon, "it leads no more", func() bool { return !now.leading.Load() && now.token() == "" })
		all = others
	}
	testenv.Eventually(t, soon, "the Lease is given back", func() bool { return *a.lease(leaseName).Spec.HolderIdentity == "" })
}

// At the end of Run the Lease is released, too. A candidate that does not lead changes
// nothing.
func TestLeaderEnds(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	first := a.campaign(t, a.client(t), leaseName, "first")
	leader(t, soon, first)
	second := a.campaign(t, a.client(t), leaseName, "second")
	testenv.Eventually(t, soon, "it knows", func() bool { return second.Holder() == "first" })
	second.end()
	<-second.ended
	if got := *a.lease(leaseName).Spec.HolderIdentity; got != "first" {
		t.Errorf("the Lease is held by %q", got)
	}
	first.end()
	<-first.ended
	if got := a.lease(leaseName); *got.Spec.HolderIdentity != "" || *got.Spec.LeaseDurationSeconds != 1 || first.leading.Load() {
		t.Errorf("left behind: %+v", got.Spec)
	}
	if err := first.Run(t.Context()); err == nil {
		t.Error("Run can be called twice")
	}
}

// calls counts requests by method and status; a watch counts as "WATCH".
type calls struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *calls) wrap(cfg *rest.Config) {
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			what := r.Method
			if r.URL.Query().Get("watch") != "" {
				what = "WATCH"
			}
			if err == nil {
				what = fmt.Sprint(what, " ", resp.StatusCode)
			}
			c.mu.Lock()
			c.n[what]++
			c.mu.Unlock()
			return resp, err
		})
	})
}

func (c *calls) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[what]
}

func (c *calls) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.n
	c.n = map[string]int{}
	return n
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Fifty replicas are no burden: those that wait make no calls, and when the Lease is
// released, only few of them try to take it.
func TestLeaderLoad(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	count := &calls{n: map[string]int{}}
	var all []*candidate
	for i := range 50 {
		all = append(all, a.campaign(t, a.client(t, count.wrap), leaseName, fmt.Sprint("replica-", i)))
	}
	now, others := leader(t, 30*time.Second, all...)
	for _, c := range others {
		testenv.Eventually(t, 30*time.Second, "all know who leads", func() bool { return c.Holder() == now.Identity() })
	}
	time.Sleep(time.Second) // until all watch
	count.take()
	begin := time.Now()
	time.Sleep(4 * RetryPeriod)
	testenv.Eventually(t, soon, "renewals", func() bool { return count.of("PUT 200") >= 2 })
	idle := count.take()
	if n, most := idle["PUT 200"], 1+int(time.Since(begin)/RetryPeriod); n > most || len(idle) != 1 {
		t.Errorf("in %v, nothing but the leader's renewals should be there, every %v: %v", time.Since(begin), RetryPeriod, idle)
	}
	now.Release()
	leader(t, 5*time.Second, others...)
	time.Sleep(time.Second)
	busy := count.take()
	t.Logf("the change of the leader: %v", busy)
	// On a quiet machine, two or three try before they see who was first. Even on a slow
	// one, nobody tries twice.
	if tries := busy["PUT 409"]; tries > len(others)-1 {
		t.Errorf("%d tried in vain: %v", tries, busy)
	}
}

// client-go's leader election, which Kubernetes' own components use, can share a Lease with
// a Candidate: both never hold it at once, and it changes hands in both directions.
func TestLeaderAmongOthers(t *testing.T) {
	t.Parallel()
	a := newAPI(t)
	theirs := func(ctx context.Context, leads *atomic.Bool) {
		client := a.client(t)
		leaderelection.RunOrDie(ctx, leaderelection.LeaderElectionConfig{
			Lock: &resourcelock.LeaseLock{
				LeaseMeta: metav1.ObjectMeta{Namespace: a.NS, Name: leaseName}, Client: client.CoordinationV1(),
				LockConfig: resourcelock.ResourceLockConfig{Identity: "theirs"},
			},
			LeaseDuration: briskLease, RenewDeadline: briskLease - time.Second, RetryPeriod: 300 * time.Millisecond,
			ReleaseOnCancel: true,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { leads.Store(true) },
				OnStoppedLeading: func() { leads.Store(false) },
			},
		})
	}
	var leads atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); theirs(ctx, &leads) }()
	testenv.Eventually(t, 5*time.Second, "theirs leads", leads.Load)
	ours := a.campaign(t, a.client(t), leaseName, "ours", brisk)
	clustertest.Remains(t, 3*time.Second, "theirs leads", func() bool { return leads.Load() && ours.token() == "" && !ours.Leads() })
	cancel()
	<-ended
	leader(t, soon, ours)
	first := ours.token()
	if !strings.HasSuffix(first, "/1") { // one transition: client-go counts from 0
		t.Errorf("token %q", first)
	}

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	ended = make(chan struct{})
	go func() { defer close(ended); theirs(ctx, &leads) }()
	clustertest.Remains(t, 3*time.Second, "ours leads", func() bool { return !leads.Load() && ours.token() == first })
	ours.Release()
	testenv.Eventually(t, 5*time.Second, "theirs leads again", leads.Load)
	cancel()
	<-ended
}
