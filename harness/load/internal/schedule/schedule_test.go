package schedule

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Neither its own delays nor those of release shift later requests, and none is
// released too early.
func TestScheduleDoesNotDrift(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begin := time.Now()
	n := 0
	err := Run(ctx, begin, 1000, func(i int, due time.Time) {
		if want := begin.Add(time.Duration(i) * time.Millisecond); i != n || !due.Equal(want) {
			t.Errorf("request %d, due %v; want %d, %v", i, due, n, want)
		}
		if time.Now().Before(due) {
			t.Error("too early")
		}
		n++
		if i == 10 {
			time.Sleep(30 * time.Millisecond)
		}
		if i == 100 {
			cancel()
		}
	})
	// If it is late when ctx ends, it still releases what was due by then.
	if err != nil || n < 101 {
		t.Error(n, err)
	}
}

// A slow schedule ends when its context does, not when the next request is due.
func TestScheduleEndsAtOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	n := 0
	go func() {
		ended <- Run(ctx, time.Now(), 1.0/3600, func(int, time.Time) {
			n++
			time.AfterFunc(20*time.Millisecond, cancel) // most likely while it waits
		})
	}()
	select {
	case err := <-ended:
		if err != nil || n != 1 {
			t.Error(n, err)
		}
	case <-time.After(testenv.Patience):
		t.Fatal("it waits on")
	}
}

// All that was due when ctx ended is released, even by a schedule that begins to run
// only then.
func TestScheduleCatchesUpAtTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n := 0
	if err := Run(ctx, time.Now().Add(-time.Second), 100, func(int, time.Time) { n++ }); err != nil || n < 101 {
		t.Error(n, err)
	}
}

func TestLateness(t *testing.T) {
	var l Lateness
	if l.Percentile(99) != 0 {
		t.Error("of nothing:", l.Percentile(99))
	}
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(rand.ExpFloat64() * 1e6)
		all = append(all, d)
		l.Add(d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, 50, 99, 100} {
		exact := all[min(len(all)-1, int(p/100*float64(len(all))))]
		if got := l.Percentile(p); got < exact || got > exact+exact/15+1 {
			t.Errorf("percentile %v: %v; exactly %v", p, got, exact)
		}
	}
	l.Add(-time.Second) // due in the future: not late
	if got := l.Percentile(0); got > all[0]+all[0]/15+1 {
		t.Error(got)
	}
}

// Each value lies within the bounds of its bucket.
func TestBuckets(t *testing.T) {
	for _, v := range []uint64{0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 1000, 1 << 40, 1<<63 - 1} {
		b := bucketOf(v)
		if v > upperBound(b) || b > 0 && v <= upperBound(b-1) {
			t.Errorf("%d is in bucket %d, from %d to %d", v, b, upperBound(b-1)+1, upperBound(b))
		}
	}
}
