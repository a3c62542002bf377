package cause

import (
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// A way is how a request was lost, as far as its own record tells.
type way int

const (
	unreached way = iota // nobody took the connection
	unread               // a new connection was reset or closed before a response
	idle                 // a kept connection had been closed, or was closed as the request came
	cut                  // in flight
	stream
	status
	unanswered
	wrong
)

// crossing is within which time a request fails that crosses the close of its connection:
// a round trip, on a busy host.
const crossing = 50 * time.Millisecond

// A loss is a lost request.
type loss struct {
	*record.Request
	way       way
	life      *life // of the pod that lost it; nil if no pod was stopping
	sure      bool  // the record names the pod
	explained bool
}

func wayOf(r *record.Request) way {
	switch r.Outcome {
	case record.UnexpectedStatus, record.NotProcessed:
		return status
	case record.StreamReset:
		return cut
	case record.ResponseTimeout:
		return unanswered
	case record.WrongBody, record.NotProblem, record.Malformed:
		return wrong
	case record.Refused, record.DialTimeout, record.DialFailed:
		return unreached
	}
	switch {
	case r.Class == record.Stream && (r.Outcome == record.StreamBroken || r.Events > 0):
		return stream
	case r.Outcome == record.EOFMid || r.Outcome == record.ResetMid:
		return cut
	case r.OnlyBlind():
		return idle
	case r.End.Sub(r.Sent) > crossing:
		return cut // the server had it for longer than a close needs to arrive
	case r.ConnectionUse > 0:
		return idle
	}
	return unread
}

// at returns when the request was lost.
func (l *loss) at() time.Time {
	if l.End.IsZero() {
		return l.Sent
	}
	return l.End
}

// sort returns the lost requests, each with the pod that was stopping then. If the record
// names none, it is, of those that it suspects, the pod whose end was closest.
func (f *finder) sort() []*loss {
	byName := map[string]*life{}
	for _, l := range f.lives {
		byName[l.Name] = l
	}
	var out []*loss
	for i := range f.run.Requests {
		r := &f.run.Requests[i]
		if !r.Failed() {
			continue
		}
		l := &loss{Request: r, way: wayOf(r)}
		if f.byNode(r) {
			out = append(out, l)
			continue
		}
		if named := byName[r.Pod]; named != nil && named.covers(l.at()) {
			l.life, l.sure = named, r.PodBy != record.ByElimination
		}
		if r.Pod == "" {
			var least time.Duration
			for _, one := range f.lives {
				if len(r.Suspects) > 0 && !slices.Contains(r.Suspects, one.Name) {
					continue
				}
				if !one.covers(l.Sent) && !one.covers(l.at()) || l.way == unreached && one.reachable(l.at()) {
					continue
				}
				if d := l.at().Sub(one.turn()).Abs(); l.life == nil || d < least {
					l.life, least = one, d
				}
			}
		}
		out = append(out, l)
	}
	return out
}

// reachable reports whether the pod still took connections at a moment, so that it can't
// have refused one.
func (l *life) reachable(at time.Time) bool {
	return at.Before(l.turn().Add(-slack))
}

// turn returns when the pod most likely began to lose requests: when it closed its
// listener, or ended.
func (l *life) turn() time.Time {
	switch {
	case !l.closed.IsZero():
		return l.closed
	case !l.end.IsZero():
		return l.end
	}
	return l.told
}
