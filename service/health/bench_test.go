package health

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/outbound"
)

// full returns a Checker with 10,000 endpoints in the prompt lane, whose attempts cost
// nothing.
func full(b *testing.B) *Checker {
	b.Helper()
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	c.attempt = func(context.Context, *target, *outbound.Conn) outcome { return outcome{healthy: true, text: "fine"} }
	now := time.Now()
	for i := range 10_000 {
		key := service.Key{Namespace: "bench", Name: fmt.Sprint(i)}
		c.Set(key, httpProbe("http://bench/"))
		e := c.endpoints[key]
		c.enqueue(e, prompt, c.nextPlace(e, now))
	}
	return c
}

// BenchmarkScheduling is the cost of one check without the attempt, with 10,000 endpoints:
// the queue, the goroutine, the history and the next place. In operation there are 333 of
// these per second.
func BenchmarkScheduling(b *testing.B) {
	c := full(b)
	var jobs sync.WaitGroup
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c.mu.Lock()
		first := c.queue.waiting[prompt].First()
		c.queue.waiting[prompt].Set(first, time.Time{}) // due now
		c.mu.Unlock()
		c.startDue(ctx, &jobs)
		jobs.Wait()
	}
}

// BenchmarkCheckAllNow is a sweep over 10,000 endpoints. It takes 2 s because of sweepGap;
// only its allocations count.
func BenchmarkCheckAllNow(b *testing.B) {
	c := full(b)
	run(b, c)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.CheckAllNow(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSet is the cost of Set for a known endpoint without a change, which is called
// for all of them at every resync.
func BenchmarkSet(b *testing.B) {
	c := full(b)
	key, probe := service.Key{Namespace: "bench", Name: "5000"}, httpProbe("http://bench/")
	b.ReportAllocs()
	for b.Loop() {
		c.Set(key, probe)
	}
}
