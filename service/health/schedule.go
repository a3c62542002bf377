package health

import (
	"container/heap"
	"time"
)

const (
	// newcomerGap is the least time between the first checks of two new
	// endpoints: a cluster of ten thousand back ends is checked for the first
	// time within 20 s, not in one burst.
	newcomerGap = 2 * time.Millisecond
	// newcomerJitter is how far a first check may be put off.
	newcomerJitter = 500 * time.Millisecond
	// placeJitter is the part of the interval by which a check may come
	// later than its place, so that replicas don't stay in step.
	placeJitter = 10 // a tenth
)

// soon is when to check an endpoint of which nothing is known.
func (c *Checker) soon() time.Time {
	now := time.Now()
	at := c.newcomer
	if at.Before(now) {
		at = now
	}
	if latest := now.Add(c.opts.Interval); at.After(latest) {
		at = latest
	}
	c.newcomer = at.Add(newcomerGap)
	return at.Add(jitter(min(newcomerJitter, c.opts.Interval/2)))
}

// nextPlace is when e's place in the interval comes around next. Places are
// counted from a fixed time, not from the last check, so that endpoints which
// were checked together once do not stay together.
//
// A new endpoint that was healthy at first lets a place pass that comes within
// half an interval: when many are new, their second checks would come on top of
// the first ones of others. One that was unhealthy may just be starting.
func (c *Checker) nextPlace(e *endpoint, now time.Time) time.Time {
	from := now
	if len(e.history) == 1 && e.history[0].Healthy {
		from = now.Add(c.opts.Interval / 2)
	}
	n := from.Sub(c.epoch.Add(e.place))/c.opts.Interval + 1
	if from.Before(c.epoch.Add(e.place)) {
		n = 0
	}
	return c.epoch.Add(e.place + n*c.opts.Interval + jitter(c.opts.Interval/placeJitter))
}

// enqueue puts e into the queue, or moves it within.
func (c *Checker) enqueue(e *endpoint, l lane, due time.Time) {
	c.queue.remove(e)
	e.lane, e.due = l, due
	c.queue.add(e)
}

// A lane is the queue of a class of endpoints that share a bound on workers, so
// that those which hold a worker for long can't take all of them: an eighth is
// always left for those that are known to answer, and three eighths for new ones.
//
// An endpoint is slow if it took a tenth of the timeout the last time. One of
// which that wasn't known is among the slow ones from then on, in the middle of
// its attempt; if these have all their workers already, it gives up its own, and
// waits for one of theirs. So however many begin to hang at once, those that
// answer wait no longer for a worker than a tenth of the timeout.
type lane int

const (
	prompt lane = iota // answered, or failed, fast the last time: all workers
	newly              // nothing known of them: all but an eighth, together with slow
	slow               // took long: half of all workers
	lanes
)

// patience is how long an attempt may take and still count as prompt.
func (c *Checker) patience() time.Duration { return c.opts.Timeout / 10 }

func (c *Checker) laneOf(took time.Duration) lane {
	if took >= c.patience() {
		return slow
	}
	return prompt
}

// moveSlow makes slow ones of the attempts that have taken too long, and returns
// how long until the next may. The attempts that are under way, and those of
// the last moments that are not, stand in c.started in the order of their start.
func (c *Checker) moveSlow(now time.Time) time.Duration {
	for len(c.started) > 0 {
		j := c.started[0]
		if !j.over {
			if wait := j.patience.Sub(now); wait > 0 {
				return wait
			}
			c.makeSlow(j)
		}
		c.started[0] = nil
		c.started = c.started[1:]
	}
	c.started = nil // start over in new memory
	return time.Hour
}

func (c *Checker) makeSlow(j *job) {
	if c.queue.busy[slow] >= c.queue.slow {
		j.evicted = true
		j.e.cancel()
		return
	}
	c.queue.done(j.lane)
	j.lane = slow
	c.queue.busy[slow]++
}

// A Class is what is known of an endpoint when its check starts.
type Class string

// The classes of endpoints, each with its own share of Options.Concurrency.
const (
	ClassPrompt Class = "prompt" // answered or failed fast the last time
	ClassNew    Class = "new"    // not checked before
	ClassSlow   Class = "slow"   // took a tenth of Options.Timeout or more the last time
)

func (l lane) class() Class { return [lanes]Class{ClassPrompt, ClassNew, ClassSlow}[l] }

// A queue holds the waiting endpoints by due time, and counts the workers.
type queue struct {
	waiting [lanes]dueHeap
	busy    [lanes]int // workers
	total   int        // bounds of workers: of all,
	unknown int        // of newly and slow together,
	slow    int        // and of slow
}

func newQueue(workers int) queue {
	return queue{
		total:   workers,
		unknown: max(1, workers-workers/8),
		slow:    max(1, workers/2),
	}
}

// room says whether there is a worker for lane l.
func (q *queue) room(l lane) bool {
	switch {
	case q.busy[prompt]+q.busy[newly]+q.busy[slow] >= q.total:
		return false
	case l != prompt && q.busy[newly]+q.busy[slow] >= q.unknown:
		return false
	}
	return l != slow || q.busy[slow] < q.slow
}

// next returns the endpoint that is due first, of those for which there is a
// worker, and when it is due; nil if there is none.
func (q *queue) next() (*endpoint, time.Time) {
	var first *endpoint
	for l := range lanes {
		if h := q.waiting[l]; len(h) > 0 && (first == nil || h[0].due.Before(first.due)) && q.room(l) {
			first = h[0]
		}
	}
	if first == nil {
		return nil, time.Time{}
	}
	return first, first.due
}

func (q *queue) add(e *endpoint) {
	e.queued = true
	heap.Push(&q.waiting[e.lane], e)
}

// remove takes e out of the queue if it is there.
func (q *queue) remove(e *endpoint) {
	if e.queued {
		heap.Remove(&q.waiting[e.lane], e.index)
		e.queued = false
	}
}

// start takes e out of the queue and gives it a worker.
func (q *queue) start(e *endpoint) {
	q.remove(e)
	q.busy[e.lane]++
}

// done gives a worker back.
func (q *queue) done(l lane) { q.busy[l]-- }

// A dueHeap is a container/heap of endpoints, those due first on top.
type dueHeap []*endpoint

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *dueHeap) Push(x any) {
	e := x.(*endpoint)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = nil // so that it can be collected
	*h = (*h)[:last]
	return e
}
