package conn

import "time"

// An instant is a time on the monotonic clock, in nanoseconds. Reading it costs half of
// time.Now, and the lookup path does so three times per request.
type instant int64

// epoch is the time of the instant 0, which means "never" in some places.
var epoch = time.Now().Add(-time.Hour)

func now() instant { return instant(time.Since(epoch)) }

// time returns t as a time.Time, for deadlines.
func (t instant) time() time.Time { return epoch.Add(time.Duration(t)) }

func (t instant) add(d time.Duration) instant { return t + instant(d) }

func (t instant) sub(u instant) time.Duration { return time.Duration(t - u) }

// instantOf returns t as an instant; 0 for the zero time.
func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.Sub(epoch))
}
