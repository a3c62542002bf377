package identify

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ service.Identifier = (*Prober)(nil)

// loopback permits the servers of tests.
var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

var testKey = service.Key{Namespace: "monitoring", Name: "prometheus"}

func testRules() *identity.Rules {
	return identity.NewRules([]*identity.Rule{
		{
			Type: "prometheus", Product: "Prometheus", Use: "/query",
			Proofs: [][]identity.Ask{{{Get: "/info", JSON: map[string]string{"name": "prometheus"}, Version: "version"}}},
		},
		{Type: "kafka", Product: "Apache Kafka", Kafka: true},
	})
}

// A recorder records what a Prober reports.
type recorder struct {
	mu  sync.Mutex
	all map[service.Key][]service.Identity
	ch  chan service.Key
}

func newRecorder() *recorder {
	return &recorder{all: map[service.Key][]service.Identity{}, ch: make(chan service.Key, 10_000)}
}

func (r *recorder) report(k service.Key, id service.Identity) {
	r.mu.Lock()
	r.all[k] = append(r.all[k], id)
	r.mu.Unlock()
	r.ch <- k
}

// next returns the next report, about any endpoint.
func (r *recorder) next(t *testing.T) (service.Key, service.Identity) {
	t.Helper()
	select {
	case k := <-r.ch:
		r.mu.Lock()
		defer r.mu.Unlock()
		return k, r.all[k][len(r.all[k])-1]
	case <-time.After(testenv.Patience):
		t.Fatal("nothing was reported")
	}
	panic("unreachable")
}

// start runs a Prober until the end of the test.
func start(t *testing.T, o Options) *Prober {
	t.Helper()
	if o.Rules == nil {
		o.Rules = testRules()
	}
	o.AllowCIDRs = loopback
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}
