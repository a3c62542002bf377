package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/bench/internal/sut"
)

const (
	// pollPause is the pause between two lookups for the same change, and so the precision
	// of the result. It grows to 1/pollShare of the time waited so far, so that lookups
	// don't slow down a service that is slow already.
	pollPause = 2 * time.Millisecond
	pollShare = 20
	// Every listSample-th change is also looked up in the list of its namespace, and every
	// wholeSample-th in the list of all toolsets, which has some megabytes. With more, the
	// lookups themselves would load the service.
	listSample  = 5
	wholeSample = 500
	// giveUp is the time after which a change counts as never visible.
	giveUp = 20 * time.Second
	// maxUnderWay bounds the changes under way. At this bound the rate drops, and the
	// result has the actual one.
	maxUnderWay = 500
)

// Churn is what was measured while the Services changed.
type Churn struct {
	Changes int     `json:"changes"`
	Rate    float64 `json:"rate_per_second"` // actual rate
	// API is how long the API server took to answer a change.
	API stats.Summary `json:"api_server"`
	// Watch is how long after that answer a plain client, which only watches the Services,
	// received the change. It is the part of the figures below that is due to the API
	// server and this machine.
	Watch stats.Summary `json:"api_server_watch"`
	// Name, List and Stream are how long after that answer the change was visible in a
	// lookup by name, in a list, and as an event.
	Name   stats.Summary `json:"visible_by_name"`
	List   stats.Summary `json:"visible_in_list"`
	Stream stats.Summary `json:"visible_as_event"`
	// Lookup is how long the lookups by name took.
	Lookup stats.Summary `json:"lookup_by_name"`
	// Kinds has Name by kind of change. For relabel it has List.
	Kinds map[changeKind]stats.Summary `json:"by_kind"`
	// Whole is the number of lists of all toolsets that were checked for a change, after a
	// lookup by name had shown it.
	Whole    int     `json:"whole_lists"`
	CPU      float64 `json:"service_cpu_cores"`
	PeakMB   float64 `json:"peak_memory_mb"`
	NeverHad int     `json:"never_visible"`  // number of changes
	Failed   int     `json:"failed_lookups"` // lookups without an answer in time
}

// A churn makes the changes and collects what is measured.
type churn struct {
	cluster *testCluster
	http    *fasthttp.Client
	base    string

	mu       sync.Mutex
	api      []time.Duration
	list     []time.Duration
	name     map[changeKind][]time.Duration
	lookup   []time.Duration
	answered map[*change]time.Time // when the API server answered
	versions map[string]time.Time  // the same by resource version
	whole    int
	never    int
	failed   int
	errs     []error
}

// churn changes Services for s.duration at s.rate, and waits until the last change is
// visible.
func (s *settings) churn(ctx context.Context, c *testCluster, p *sut.Process, seq *changes) (*Churn, error) {
	k := &churn{
		cluster: c, base: p.API, http: &fasthttp.Client{MaxConnsPerHost: 2 * maxUnderWay, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second},
		name: map[changeKind][]time.Duration{}, answered: map[*change]time.Time{}, versions: map[string]time.Time{},
	}
	defer k.http.CloseIdleConnections()
	stream, err := follow(p.API)
	if err != nil {
		return nil, err
	}
	defer stream.close()
	reference, err := watchServices(ctx, c.watcher)
	if err != nil {
		return nil, err
	}
	defer reference.stop()
	before, err := p.Usage()
	if err != nil {
		return nil, err
	}

	var underWay sync.WaitGroup
	places := make(chan struct{}, maxUnderWay)
	gap := time.Duration(float64(time.Second) / s.rate)
	began := time.Now()
	n := 0
	for at := began; time.Since(began) < s.duration && ctx.Err() == nil; at = at.Add(gap) {
		time.Sleep(time.Until(at))
		places <- struct{}{}
		ch := seq.take()
		n++
		underWay.Go(func() {
			defer func() { <-places }()
			if err := k.follow(ctx, ch); err != nil {
				k.fail(err)
			}
		})
	}
	took := time.Since(began)
	underWay.Wait()
	after, err := p.Usage()
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(k.errs) > 0 {
		return nil, fmt.Errorf("%d of %d changes failed, the first: %w", len(k.errs), n, k.errs[0])
	}
	events, err := stream.end()
	if err != nil {
		return nil, err
	}
	r := &Churn{
		Changes: n, Rate: float64(n) / took.Seconds(), Whole: k.whole, NeverHad: k.never, Failed: k.failed,
		API: stats.Of(k.api), List: stats.Of(k.list), Lookup: stats.Of(k.lookup), Kinds: map[changeKind]stats.Summary{},
		CPU: (after.CPU - before.CPU).Seconds() / time.Since(began).Seconds(), PeakMB: float64(after.Peak) / 1e6,
	}
	reference.stop()
	r.Watch = reference.after(k.versions)
	var all []time.Duration
	for kind, d := range k.name {
		if kind != relabel {
			all = append(all, d...)
		}
		r.Kinds[kind] = stats.Of(d)
	}
	r.Name = stats.Of(all)
	var streamed []time.Duration
	for ch, at := range k.answered {
		if ch.kind == relabel { // a toolset has no labels, so there is no event
			continue
		}
		seen, ok := events.first(ch)
		if !ok {
			say("the event stream has no event for the change %q of %s/%s", ch.kind, ch.namespace, ch.name)
			r.NeverHad++
			continue
		}
		streamed = append(streamed, max(0, seen.Sub(at)))
	}
	r.Stream = stats.Of(streamed)
	return r, nil
}

func (k *churn) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.errs = append(k.errs, err)
}

// follow makes one change and waits until it is visible.
func (k *churn) follow(ctx context.Context, ch *change) error {
	defer close(ch.done)
	if ch.undoes != nil {
		<-ch.undoes.done
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := time.Now()
	version, err := ch.do(ctx, k.cluster.client)
	if err != nil {
		return fmt.Errorf("the API server refused the change %q of %s/%s: %w", ch.kind, ch.namespace, ch.name, err)
	}
	at := time.Now()
	k.mu.Lock()
	k.api = append(k.api, at.Sub(began))
	k.answered[ch] = at
	if version != "" {
		k.versions[version] = at
	}
	k.mu.Unlock()

	namespace := "?namespace=" + url.QueryEscape(ch.namespace)
	var list sync.WaitGroup
	defer list.Wait()
	if ch.kind == relabel || ch.n%listSample == 0 {
		path := "/api/v1/toolsets" + namespace
		if ch.kind == relabel {
			path = "/api/v1/services" + namespace
		}
		list.Go(func() {
			k.poll(ctx, ch, path, at, func(d time.Duration) {
				k.list = append(k.list, d)
				if ch.kind == relabel {
					k.name[relabel] = append(k.name[relabel], d)
				}
			})
		})
	}
	if ch.kind == relabel {
		return nil
	}
	if !k.poll(ctx, ch, "/api/v1/toolsets/"+ch.name+namespace, at, func(d time.Duration) { k.name[ch.kind] = append(k.name[ch.kind], d) }) {
		return nil
	}
	if ch.n%wholeSample != 0 {
		return nil
	}
	// All lookups are answered from one snapshot, so the list must show the change, too.
	_, body, err := k.http.GetTimeout(nil, k.base+"/api/v1/toolsets", 10*time.Second)
	if err != nil {
		return err
	}
	text := string(body) // some megabytes
	if i := strings.Index(text, `"name":"`+ch.name+`","namespace":"`+ch.namespace+`"`); i < 0 {
		text = ""
	} else {
		text = text[i:]
		if end := strings.Index(text, `"discoveredAt"`); end > 0 {
			text = text[:end]
		}
	}
	if strings.Contains(text, ch.shows) == ch.gone {
		return fmt.Errorf("the lookup by name shows the change %q of %s/%s, the whole list fetched after it doesn't", ch.kind, ch.namespace, ch.name)
	}
	k.mu.Lock()
	k.whole++
	k.mu.Unlock()
	return nil
}

// poll repeats a lookup until the answer shows the change. It calls keep, with k.mu held,
// with the time that this took since at. It returns false if the change was never visible.
func (k *churn) poll(ctx context.Context, ch *change, path string, at time.Time, keep func(time.Duration)) bool {
	byName := !strings.HasPrefix(path, "/api/v1/toolsets?") && !strings.HasPrefix(path, "/api/v1/services?")
	var body []byte
	for time.Since(at) < giveUp && ctx.Err() == nil {
		asked := time.Now()
		var status int
		var err error
		status, body, err = k.http.GetTimeout(body[:0], k.base+path, 10*time.Second)
		now := time.Now()
		if err != nil {
			k.mu.Lock()
			k.failed++
			k.mu.Unlock()
			time.Sleep(time.Second)
			continue
		}
		there := status == fasthttp.StatusOK && strings.Contains(string(body), ch.shows)
		k.mu.Lock()
		if byName {
			k.lookup = append(k.lookup, now.Sub(asked))
		}
		if there != ch.gone {
			keep(now.Sub(at))
			k.mu.Unlock()
			return true
		}
		k.mu.Unlock()
		time.Sleep(max(pollPause, time.Since(at)/pollShare))
	}
	say("%s never showed the change %q", path, ch.kind)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.never++
	return false
}
