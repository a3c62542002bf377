package health

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// full returns a Checker with 10,000 endpoints that wait in the prompt lane,
// and an attempt that costs nothing.
func full(b *testing.B) *Checker {
	b.Helper()
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	c.attempt = func(context.Context, *target, *conn) outcome { return outcome{healthy: true, text: "fine"} }
	now := time.Now()
	for i := range 10_000 {
		key := service.Key{Namespace: "bench", Name: fmt.Sprint(i)}
		c.Set(key, httpProbe("http://bench/"), false)
		e := c.endpoints[key]
		c.enqueue(e, prompt, c.nextPlace(e, now))
	}
	return c
}

// BenchmarkScheduling is what one check costs besides the attempt itself, with
// 10,000 endpoints: taking it from the queue, its goroutine, its history, its
// next place. In operation there are 333 of these in a second.
func BenchmarkScheduling(b *testing.B) {
	c := full(b)
	var jobs sync.WaitGroup
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c.mu.Lock()
		c.queue.waiting[prompt][0].due = time.Time{} // due now; still the first
		c.mu.Unlock()
		c.startDue(ctx, &jobs)
		jobs.Wait()
	}
}

// BenchmarkCheckAllNow is a sweep over 10,000 endpoints: 2 s, as sweepGap has it.
// What it allocates is what counts.
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

// BenchmarkSet is the cost of an event for an endpoint that is known already,
// as informers send by the thousand at every resync.
func BenchmarkSet(b *testing.B) {
	c := full(b)
	key, probe := service.Key{Namespace: "bench", Name: "5000"}, httpProbe("http://bench/")
	b.ReportAllocs()
	for b.Loop() {
		c.Set(key, probe, false)
	}
}
