// Package cause says why requests were lost during a rolling update, and what to change:
// in the server, in its own terms if it is recognised, and in the manifest.
//
// [Find] is a pure function of the record. It first looks at how the pods ended: one that
// a signal ended at once, or that had to be killed, explains everything that was lost on
// it. What else was lost is sorted by how it was lost, and by what the pod did at that
// moment. Each cause says what it rests on. What fits no cause is given as unknown.
package cause

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// The identifiers of the causes.
const (
	NoHandler        = "no-signal-handler"       // the signal ended the process at once
	EndsAtOnce       = "ends-at-once"            // it handles the signal, but does not wait
	WrongSignal      = "wrong-stop-signal"       // this server stops gracefully on another signal
	NotPassedOn      = "signal-not-passed-on"    // a shell got the signal, and not the server
	Ignored          = "signal-ignored"          // it went on until it was killed
	KeptOpen         = "kept-connections-open"   // it waited for connections that never end
	GraceTooShort    = "grace-period-too-short"  // it was killed while it still worked
	KilledEarly      = "killed-early"            // SIGKILL before the grace period was over, as for want of memory
	ListenerClosed   = "listener-closed-early"   // before all nodes had learnt that the pod ends
	AcceptQueueReset = "accept-queue-reset"      // connections that it had not accepted yet
	IdleClosed       = "idle-connections-closed" // without an announcement
	RequestsCut      = "requests-cut"            // in flight
	StreamsCut       = "streams-cut"             // without a goodbye
	ErrorsStopping   = "errors-while-stopping"   // such as 503 while it is still routed to
	NotAnswered      = "taken-but-not-answered"  // accepted, and never answered
	ReadyTooEarly    = "ready-too-early"         // a new pod is routed to before it listens
	Restarted        = "container-restarted"     // by itself
	IdleTimeout      = "idle-timeout"            // kept connections closed though no pod was stopping
	WrongAnswer      = "wrong-answer"            // the answers were not as asked for
	StaleUpstream    = "stale-upstream"          // a proxy sends to pods that have long been gone
	ClosedUpstream   = "closed-upstream"         // a proxy sends on connections that the pod has closed
	NoUpstream       = "no-upstream"             // a proxy answers without having tried a pod
	NodeRefused      = "node-refused"            // by the client's node, though pods were ready
	Unknown          = "unknown"                 // none of these fits
)

// A finder finds the causes of one run.
type finder struct {
	run    *record.Run
	server *server
	lives  []*life
	losses []*loss
	causes []record.Cause
}

// Find returns the causes, those first that lost the most requests.
func Find(run *record.Run) []record.Cause {
	f := &finder{run: run, server: recognise(&run.Target)}
	f.lives = lives(run)
	f.losses = f.sort()
	f.nodeRefused()
	f.throughProxy()
	f.ended()
	f.drained()
	f.unrelated()
	f.adviseProxy()
	slices.SortStableFunc(f.causes, func(a, b record.Cause) int {
		// What any client loses counts most.
		return cmp.Or((b.Lost-b.OnlyBlind)-(a.Lost-a.OnlyBlind), b.Lost-a.Lost)
	})
	return f.causes
}

// explain adds a cause for some losses, and marks these as explained. Lives are the pods
// where it was seen, if they are known otherwise than by the losses.
func (f *finder) explain(c record.Cause, losses []*loss, lives []*life) *record.Cause {
	pods := map[string]bool{}
	for _, l := range lives {
		pods[l.Name] = true
	}
	for _, l := range losses {
		l.explained = true
		c.Lost++
		if l.OnlyBlind() {
			c.OnlyBlind++
		}
		if at := l.at(); c.First.IsZero() || at.Before(c.First) {
			c.First = at
		}
		if l.life != nil && l.sure {
			pods[l.life.Name] = true
		}
	}
	for i := range f.run.Pods { // in the order of the record
		if name := f.run.Pods[i].Name; pods[name] {
			c.Pods = append(c.Pods, name)
			delete(pods, name)
		}
	}
	if len(losses) > 0 {
		c.Evidence = append(c.Evidence, composition(losses))
	}
	c.Server = f.server.Name
	f.causes = append(f.causes, c)
	return &f.causes[len(f.causes)-1]
}

// take returns the losses that are not explained yet and fulfil a condition.
func (f *finder) take(want func(*loss) bool) []*loss {
	var out []*loss
	for _, l := range f.losses {
		if !l.explained && want(l) {
			out = append(out, l)
		}
	}
	return out
}

// composition says how requests were lost, the most frequent way first.
func composition(losses []*loss) string {
	counts := map[string]int{}
	var ways []string
	for _, l := range losses {
		way := string(l.Outcome)
		if l.Outcome == record.UnexpectedStatus && l.Status != 0 {
			way = fmt.Sprintf("status %d", l.Status)
		}
		way += " (" + string(l.Class) + ")"
		if counts[way]++; counts[way] == 1 {
			ways = append(ways, way)
		}
	}
	slices.SortStableFunc(ways, func(a, b string) int { return counts[b] - counts[a] })
	const shown = 4
	var parts []string
	rest := len(losses)
	for _, way := range ways[:min(len(ways), shown)] {
		parts = append(parts, fmt.Sprintf("%d %s", counts[way], way))
		rest -= counts[way]
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d in other ways", rest))
	}
	return "Lost so: " + strings.Join(parts, ", ") + "."
}

// seconds formats a duration for people.
func seconds(d time.Duration) string {
	switch {
	case d.Abs() < 10*time.Millisecond:
		return "0 s"
	case d.Abs() < time.Second:
		return d.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// span formats the least and the greatest of some durations.
func span(all []time.Duration) string {
	if len(all) == 0 {
		return "an unknown time"
	}
	least, most := seconds(slices.Min(all)), seconds(slices.Max(all))
	if least == most {
		return least
	}
	return least + " to " + most
}

// count formats a number with a noun that takes an s.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
