package conn

import "time"

// An instant is a moment on the monotonic clock, in nanoseconds. The clock's
// reading costs half of time.Now's, and the lookup path reads it three times for
// each request.
type instant int64

// epoch is the instant 0, which stands for "never" where that is said.
var epoch = time.Now().Add(-time.Hour)

func now() instant { return instant(time.Since(epoch)) }

// time returns the time of t, for deadlines.
func (t instant) time() time.Time { return epoch.Add(time.Duration(t)) }

func (t instant) add(d time.Duration) instant { return t + instant(d) }

func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

// instantOf returns the instant of a time; 0 of none.
func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.Sub(epoch))
}
