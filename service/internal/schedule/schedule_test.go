package schedule

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

type thing struct {
	Item
	name int
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// Whatever is put in, moved and removed, the first is one of those that are due first.
func TestTheFirstIsDueFirst(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		var q Queue[*thing]
		all := make([]*thing, 40)
		due := map[*thing]time.Time{} // those in the queue
		for i := range all {
			all[i] = &thing{name: i}
		}
		for range 2000 {
			e := all[random.IntN(len(all))]
			switch random.IntN(3) {
			case 0:
				q.Remove(e)
				delete(due, e)
			default:
				at := start.Add(time.Duration(random.IntN(100)))
				q.Set(e, at)
				due[e] = at
			}
			if q.Len() != len(due) {
				t.Fatalf("%d items, want %d", q.Len(), len(due))
			}
			for _, e := range all {
				if at, in := due[e]; e.Queued() != in || in && !e.Due().Equal(at) {
					t.Fatalf("thing %d: queued %v, due %v, want %v, %v", e.name, e.Queued(), e.Due(), in, at)
				}
			}
			first := q.First()
			if (first == nil) != (len(due) == 0) {
				t.Fatalf("the first of %d is %v", len(due), first)
			}
			for _, at := range due {
				if at.Before(first.Due()) {
					t.Fatalf("thing %d is due at %v, and another before it at %v", first.name, first.Due(), at)
				}
			}
		}
		var order []time.Time
		for q.Len() > 0 {
			order = append(order, q.First().Due())
			q.Remove(q.First())
		}
		if !slices.IsSortedFunc(order, time.Time.Compare) {
			t.Fatalf("not in order: %v", order)
		}
	}
}

// What was removed can be collected.
func TestARemovedItemIsNotKept(t *testing.T) {
	var q Queue[*thing]
	e := &thing{}
	q.Set(e, start)
	q.Remove(e)
	if rest := q.waiting[:1][0]; rest != nil {
		t.Error("it is still in the array of the heap")
	}
}

func TestPace(t *testing.T) {
	var p Pace
	now := start
	for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
		if at := p.Take(now, time.Second); at.Sub(start) != want {
			t.Errorf("place %d after %v, want %v", i, at.Sub(start), want)
		}
	}
	if at := p.Take(start.Add(time.Minute), time.Second); at.Sub(start) != time.Minute {
		t.Errorf("a place in the past: %v", at.Sub(start))
	}
}

func TestNewcomersAreSpread(t *testing.T) {
	for within, last := range map[time.Duration]time.Duration{time.Hour: 20 * time.Second, 5 * time.Second: 5 * time.Second} {
		var p Pace
		var latest time.Duration
		var at []time.Time
		for range 10_000 {
			due := p.Newcomer(start, within)
			at = append(at, due)
			latest = max(latest, due.Sub(start))
		}
		if latest > last+newcomerJitter || latest < last-newcomerJitter {
			t.Errorf("within %v: the last of 10,000 after %v, want about %v", within, latest, last)
		}
		slices.SortFunc(at, time.Time.Compare)
		if first := at[0].Sub(start); first < 0 || first > newcomerJitter {
			t.Errorf("within %v: the first after %v", within, first)
		}
		if half := at[1000].Sub(at[0]); half < time.Second {
			t.Errorf("within %v: 1,000 in %v", within, half)
		}
	}
	var p Pace
	if at := p.Newcomer(start, 2*time.Millisecond); at.Sub(start) >= time.Millisecond {
		t.Errorf("with a short interval, the first after %v", at.Sub(start))
	}
}

func TestJitter(t *testing.T) {
	for d, most := range map[time.Duration]time.Duration{-1: 0, 0: 0, 1: 0, time.Second: time.Second - 1} {
		for range 100 {
			if got := Jitter(d); got < 0 || got > most {
				t.Errorf("%v: %v", d, got)
			}
		}
	}
}
