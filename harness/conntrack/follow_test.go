package conntrack

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var base = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(s float64) time.Time { return base.Add(time.Duration(s * float64(time.Second))) }

func TestFind(t *testing.T) {
	trace := &Trace{flows: map[uint16][]Flow{}}
	for _, s := range []float64{10, 140, 300} {
		trace.add(Flow{At: at(s), From: 1})
	}
	for _, q := range []struct {
		port          uint16
		opened, ended float64
		want          float64 // 0: none
	}{
		{1, 10, 10.1, 10}, {1, 10, 100, 10}, // a kept connection
		{1, 9, 20, 10}, {1, 12, 12.1, 10}, // events are read a little late, or clocks differ
		{1, 141, 141.1, 140}, {1, 299.9, 300.2, 300},
		{1, 200, 202, 0}, // the last one was long ago: this one left no trace
		{1, 1, 2, 0}, {2, 10, 11, 0},
	} {
		f, ok := trace.Find(q.port, at(q.opened), at(q.ended))
		if ok != (q.want != 0) || ok && !f.At.Equal(at(q.want)) {
			t.Errorf("from port %d, %g to %g s: %v, %v, not %g s", q.port, q.opened, q.ended, f.At.Sub(base), ok, q.want)
		}
	}
}

func TestComplete(t *testing.T) {
	trace := &Trace{missed: []time.Time{at(100)}, ended: at(200)}
	for _, q := range []struct {
		opened, ended float64
		want          bool
	}{{10, 11, true}, {10, 99, false}, {101, 102, false}, {120, 121, true}, {199, 201, false}} {
		if got := trace.Complete(at(q.opened), at(q.ended)); got != q.want {
			t.Errorf("from %g to %g s: %v", q.opened, q.ended, got)
		}
	}
}

func TestCollect(t *testing.T) {
	trace, ready := &Trace{flows: map[uint16][]Flow{}}, make(chan struct{})
	err := trace.collect(strings.NewReader(`{"ready":true}

{"at":"2026-01-01T00:00:10Z","from":40000,"to":"10.0.0.1:8080"}
{"missed":true}
{"error":"no memory"}
`), ready)
	select {
	case <-ready:
	default:
		t.Error("not ready")
	}
	f, ok := trace.Find(40000, at(10), at(10))
	if !ok || f.To.String() != "10.0.0.1:8080" || len(trace.missed) != 1 || err == nil || err.Error() != "no memory" {
		t.Errorf("%v, %v, missed %v, error %v", f, ok, trace.missed, err)
	}
	// A stream that is closed is cut anywhere, which is no mistake of who wrote it.
	trace = &Trace{flows: map[uint16][]Flow{}}
	cut := io.MultiReader(strings.NewReader(`{"at":"2026-01-01T00:00:10Z","fro`), iotest.ErrReader(context.Canceled))
	if trace.problem = trace.collect(cut, make(chan struct{})); trace.Problem() != nil {
		t.Errorf("closed within a line: %v", trace.Problem())
	}
	for _, text := range []string{"", "nonsense\n", "{\"ready\":true}\n"} {
		if err := (&Trace{flows: map[uint16][]Flow{}}).collect(strings.NewReader(text), make(chan struct{})); err == nil {
			t.Errorf("%q ended well", text)
		}
	}
}
