// Package schedule keeps what is due at some time in order, and spreads over time what
// would otherwise be due at once. Nothing in it may be used concurrently.
package schedule

import (
	"container/heap"
	"math/rand/v2"
	"time"
)

// An Item is embedded in what is kept in a Queue.
type Item struct {
	due   time.Time
	place int // in the heap, from 1; 0 if it is in no Queue
}

func (i *Item) item() *Item { return i }

// Queued reports whether the Item is in a Queue.
func (i *Item) Queued() bool { return i.place > 0 }

// Due returns when it is due, or was when it was last in a Queue.
func (i *Item) Due() time.Time { return i.due }

// Scheduled is a pointer to a struct in which Item is embedded.
type Scheduled interface {
	comparable
	item() *Item
}

// A Queue has items in the order in which they are due. The zero Queue is empty. An item can
// be in one Queue at a time.
type Queue[T Scheduled] struct{ waiting byDue[T] }

// Len returns the number of items.
func (q *Queue[T]) Len() int { return len(q.waiting) }

// First returns the item that is due first, without removing it; the zero value if there is
// none.
func (q *Queue[T]) First() (first T) {
	if len(q.waiting) > 0 {
		first = q.waiting[0]
	}
	return first
}

// Set puts an item into the Queue, or changes when it is due. It must be in no other Queue.
func (q *Queue[T]) Set(e T, due time.Time) {
	i := e.item()
	i.due = due
	if i.Queued() {
		heap.Fix(&q.waiting, i.place-1)
		return
	}
	heap.Push(&q.waiting, e)
}

// Remove removes an item, if it is there. It must be in no other Queue.
func (q *Queue[T]) Remove(e T) {
	if i := e.item(); i.Queued() {
		heap.Remove(&q.waiting, i.place-1)
	}
}

// byDue is a container/heap; the item that is due first is on top.
type byDue[T Scheduled] []T

func (h byDue[T]) Len() int           { return len(h) }
func (h byDue[T]) Less(i, j int) bool { return h[i].item().due.Before(h[j].item().due) }
func (h byDue[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].item().place, h[j].item().place = i+1, j+1
}

func (h *byDue[T]) Push(x any) {
	e := x.(T)
	*h = append(*h, e)
	e.item().place = len(*h)
}

func (h *byDue[T]) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	var none T
	(*h)[last] = none // so that it can be collected
	*h = (*h)[:last]
	e.item().place = 0
	return e
}

const (
	// newcomerGap is the least time between the first calls of new endpoints. So ten thousand
	// back ends are called within 20 s at first, not in one burst.
	newcomerGap = 2 * time.Millisecond
	// newcomerJitter is the maximal random delay of a first call.
	newcomerJitter = 500 * time.Millisecond
)

// A Pace gives places in time that are a gap apart. The zero Pace has given none.
type Pace struct{ next time.Time }

// Take returns the next place: now, or gap after the one that was given before.
func (p *Pace) Take(now time.Time, gap time.Duration) time.Time {
	at := p.next
	if at.Before(now) {
		at = now
	}
	p.next = at.Add(gap)
	return at
}

// Newcomer returns when to call an endpoint that is new: soon, and all of them spread over
// at most the time within, and half of it more.
func (p *Pace) Newcomer(now time.Time, within time.Duration) time.Time {
	if latest := now.Add(within); p.next.After(latest) {
		p.next = latest
	}
	return p.Take(now, newcomerGap).Add(Jitter(min(newcomerJitter, within/2)))
}

// Jitter returns a random duration of at least 0 and less than d.
func Jitter(d time.Duration) time.Duration { return rand.N(max(d, 1)) }
