// Package aliases finds Services that are entries to one back end: of several that send
// requests to the same pods and port, one is a toolset, and the others are its aliases.
//
// Which Services select the same pods can't be seen from their selectors alone:
// prometheus-operated selects all Prometheis of its namespace, and the Service of
// a chart one of them by another label more. So:
//
//   - Equal selectors select the same pods.
//   - One selector with more labels than another selects some of its pods. It is
//     taken for the same back end, unless the one with fewer labels covers several
//     that are different (two Prometheis): then it stands for itself, and so do they.
//   - A Service with an address of its own was made to be the entry to all that it
//     covers, such as that of an Elasticsearch cluster: headless Services of parts of
//     it (the sets of its nodes) are no back ends of their own, however many.
//   - Labels with the value "true" are flags, such as of the nodes that ingest. They
//     say which part of a back end is meant, and never which back end.
//   - A Service for one pod, as charts make one for each replica, belongs to the back
//     end of the pod.
//
// Where this leaves a doubt, Services are not taken for one: two entries of one back
// end are a nuisance, a back end that is not listed is a loss.
package aliases

import (
	"cmp"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// An Entry is a back end whose pods are known, prepared for comparisons.
type Entry struct {
	*service.Backend
	selector *selector
}

// New returns the entry of b; nil if nothing is known of its pods: then it is alone in any
// case.
func New(b *service.Backend) *Entry {
	if b.Pods == nil || len(b.Pods.Selector) == 0 {
		return nil
	}
	return &Entry{b, selectorOf(b.Pods)}
}

// Same reports whether two states of a Service lead to the same aliases.
func Same(a, b *service.Backend) bool {
	return a == b || a.Type == b.Type && a.Declared == b.Declared && a.Pinned == b.Pinned && a.Primary == b.Primary &&
		a.Created.Equal(b.Created) && a.Pods.Equal(b.Pods)
}

// Find divides the entries of one namespace and type into toolsets. The first of each is the
// one that clients should use, and its aliases follow in the order of their keys. Which they
// are does not depend on the order of entries, which is changed.
func Find(entries []*Entry) (toolsets [][]*Entry) {
	slices.SortFunc(entries, compareKeys)
	for _, same := range samePods(entries) {
		slices.SortFunc(same, compareForClients)
		// What somebody has said something about is never folded away.
		declared := 1
		for declared < len(same) && same[declared].Declared {
			declared++
		}
		toolset := slices.Concat(same[:1], same[declared:])
		slices.SortFunc(toolset[1:], compareKeys)
		toolsets = append(toolsets, toolset)
		for i := range same[1:declared] {
			toolsets = append(toolsets, same[1+i:2+i])
		}
	}
	return toolsets
}

func compareKeys(a, b *Entry) int { return a.Key.Compare(b.Key) }

// compareForClients orders the Services of one back end: the first is the one that
// clients should use.
func compareForClients(a, b *Entry) int {
	return cmp.Or(
		yesFirst(a.Declared, b.Declared),
		yesFirst(a.Pinned, b.Pinned),
		yesFirst(a.Primary, b.Primary),
		-yesFirst(a.selector.pod != "", b.selector.pod != ""), // one pod of them
		-yesFirst(a.Pods.Headless, b.Pods.Headless),
		-yesFirst(a.Pods.Operated, b.Pods.Operated),
		cmp.Compare(len(a.selector.labels), len(b.selector.labels)), // the one for all comes before one for some
		cmp.Compare(a.Pods.Exposure, b.Pods.Exposure),
		compareAge(a.Created, b.Created),
		compareKeys(a, b),
	)
}

// compareAge puts the oldest first, and what has no known age last.
func compareAge(a, b time.Time) int {
	return cmp.Or(-yesFirst(a.IsZero(), b.IsZero()), a.Compare(b))
}

func yesFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
