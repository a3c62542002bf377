package health

import (
	"time"

	"kubernaut.io/dynamic-toolset/service/internal/schedule"
)

// placeJitter is the part of the interval by which a check may be later than its place, so
// that replicas don't stay in step.
const placeJitter = 10 // a tenth

// soon returns when to check an endpoint about which nothing is known.
func (c *Checker) soon() time.Time { return c.newcomers.Newcomer(time.Now(), c.opts.Interval) }

// nextPlace returns when the place of e in the interval comes next. Places count from a
// fixed time, not from the last check, so that endpoints which were once checked together
// don't stay together.
//
// After a first check that was healthy, a place within the next half interval is skipped:
// if many endpoints are new, their second checks would come on top of the first checks of
// others. After one that was not, it is not skipped: the back end may just be starting.
func (c *Checker) nextPlace(e *endpoint, now time.Time) time.Time {
	from := now
	if len(e.history) == 1 && e.history[0].Healthy {
		from = now.Add(c.opts.Interval / 2)
	}
	n := from.Sub(c.epoch.Add(e.place))/c.opts.Interval + 1
	if from.Before(c.epoch.Add(e.place)) {
		n = 0
	}
	return c.epoch.Add(e.place + n*c.opts.Interval + schedule.Jitter(c.opts.Interval/placeJitter))
}

// enqueue puts e into the queue, or moves it.
func (c *Checker) enqueue(e *endpoint, l lane, due time.Time) {
	c.queue.remove(e)
	e.lane = l
	c.queue.waiting[l].Set(e, due)
}

// A lane is the queue of a class of endpoints with a common bound on workers, so that
// endpoints that occupy a worker for long can't take all of them. An eighth of the workers
// is always left for endpoints that are known to be prompt; newly and slow together can
// have the rest, and slow at most half.
//
// An endpoint is slow if its last attempt took a tenth of the timeout. If an attempt of
// another endpoint takes so long, it counts as slow from then on. If slow has no worker
// left, the attempt is cancelled and waits for one. So however many endpoints begin to hang
// at once, the others wait at most a tenth of the timeout for a worker.
type lane int

const (
	prompt lane = iota // the last attempt was short, whatever its result
	newly              // nothing is known
	slow               // the last attempt was long
	lanes
)

// patience returns how long an attempt may take and still be prompt.
func (c *Checker) patience() time.Duration { return c.opts.Timeout / 10 }

func (c *Checker) laneOf(took time.Duration) lane {
	if took >= c.patience() {
		return slow
	}
	return prompt
}

// moveSlow makes attempts slow that have taken too long, and returns the time until the
// next one may have to be. c.started has the attempts in the order of their start; some may
// have ended already.
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
	c.started = nil // free the old array
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

// A Class says what is known about an endpoint when its check starts.
type Class string

// Each class has its own share of Options.Concurrency.
const (
	ClassPrompt Class = "prompt" // its last attempt was short, whatever its result
	ClassNew    Class = "new"    // it was not checked before
	ClassSlow   Class = "slow"   // its last attempt took a tenth of Options.Timeout or more
)

func (l lane) class() Class { return [lanes]Class{ClassPrompt, ClassNew, ClassSlow}[l] }

// A queue has the waiting endpoints by due time, and counts the busy workers.
type queue struct {
	waiting [lanes]schedule.Queue[*endpoint]
	busy    [lanes]int // workers, by lane
	total   int        // bound on all workers
	unknown int        // bound on those of newly and slow together
	slow    int        // bound on those of slow
}

func newQueue(workers int) queue {
	return queue{
		total:   workers,
		unknown: max(1, workers-workers/8),
		slow:    max(1, workers/2),
	}
}

// room reports whether there is a worker for lane l.
func (q *queue) room(l lane) bool {
	switch {
	case q.busy[prompt]+q.busy[newly]+q.busy[slow] >= q.total:
		return false
	case l != prompt && q.busy[newly]+q.busy[slow] >= q.unknown:
		return false
	}
	return l != slow || q.busy[slow] < q.slow
}

// next returns the endpoint that is due first, among those with a free worker, and when it
// is due; nil if there is none.
func (q *queue) next() (*endpoint, time.Time) {
	var first *endpoint
	for l := range lanes {
		if e := q.waiting[l].First(); e != nil && (first == nil || e.Due().Before(first.Due())) && q.room(l) {
			first = e
		}
	}
	if first == nil {
		return nil, time.Time{}
	}
	return first, first.Due()
}

// remove removes e from the queue if it is there.
func (q *queue) remove(e *endpoint) { q.waiting[e.lane].Remove(e) }

// start moves e from the queue to a worker.
func (q *queue) start(e *endpoint) {
	q.remove(e)
	q.busy[e.lane]++
}

// done frees a worker.
func (q *queue) done(l lane) { q.busy[l]-- }
