// Package aliases finds the Services that lead to one back end. Of several Services that
// send requests to the same pods and port, one becomes the toolset and the others its
// aliases.
//
// Selectors alone don't say which Services select the same pods: prometheus-operated
// selects the pods of every Prometheus in its namespace, and the Service of a chart, with
// one more label, those of one Prometheus. So these rules apply:
//
//   - Equal selectors select the same pods.
//   - A selector with more labels than another selects some of its pods. Both are taken for
//     the same back end, unless the one with fewer labels covers several different ones,
//     such as two Prometheus servers. Then each is a back end of its own.
//   - A Service with an IP address was made as the entry to all that it covers, such as an
//     Elasticsearch cluster. Headless Services for parts of that, such as a set of its
//     nodes, are no back ends of their own, however many there are.
//   - Labels with the value "true" are flags, such as those of the nodes that ingest. They
//     tell the parts of one back end apart, not back ends.
//   - A Service for a single pod, as some charts make for each replica, belongs to the back
//     end of the pod.
//
// In case of doubt, Services are kept apart: a back end that is listed twice is a nuisance,
// one that is missing is a loss.
package aliases

import (
	"cmp"
	"slices"
	"time"

	"kubernaut.io/dynamic-toolset/service"
)

// An Entry is a back end whose pods are known, prepared for comparison.
type Entry struct {
	*service.Backend
	selector *selector
}

// New returns the Entry of b; nil if its pods are unknown, so that it has no aliases and is
// none.
func New(b *service.Backend) *Entry {
	if b.Pods == nil || len(b.Pods.Selector) == 0 {
		return nil
	}
	return &Entry{b, selectorOf(b.Pods)}
}

// Same reports whether a change of a Service from a to b leaves all aliases as they are.
func Same(a, b *service.Backend) bool {
	return a == b || a.Type == b.Type && a.Declared == b.Declared && a.Pinned == b.Pinned && a.Primary == b.Primary &&
		a.Created.Equal(b.Created) && a.Pods.Equal(b.Pods)
}

// Find groups the entries of one namespace and type into toolsets. The first of each group
// is the one that clients should use; its aliases follow in the order of their keys. The
// result does not depend on the order of entries, which Find changes.
func Find(entries []*Entry) (toolsets [][]*Entry) {
	slices.SortFunc(entries, compareKeys)
	for _, same := range samePods(entries) {
		slices.SortFunc(same, compareForClients)
		// A declared Service is never made an alias.
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

// A criterion puts one of two Services of a back end before the other.
type criterion struct {
	compare func(a, b *Entry) int
	// why says, of the first, why it comes before the other.
	why string
}

// forClients are the criteria by which clients should use the first Service, the most
// important one first.
var forClients = []criterion{
	{func(a, b *Entry) int { return yesFirst(a.Declared, b.Declared) }, "annotations or overrides say something about that Service"},
	{func(a, b *Entry) int { return yesFirst(a.Pinned, b.Pinned) }, "the administrator's overrides make it the primary"},
	{func(a, b *Entry) int { return yesFirst(a.Primary, b.Primary) }, "it is marked as the primary"},
	{func(a, b *Entry) int { return -yesFirst(a.selector.pod != "", b.selector.pod != "") }, "it stands for all pods, and this one for a single pod"},
	{func(a, b *Entry) int { return -yesFirst(a.Pods.Headless, b.Pods.Headless) }, "it has an address of its own, and this one is headless"},
	{func(a, b *Entry) int { return -yesFirst(a.Pods.Operated, b.Pods.Operated) }, "an operator made this one for its own use"},
	// Fewer labels select more pods.
	{func(a, b *Entry) int { return cmp.Compare(len(a.selector.labels), len(b.selector.labels)) }, "its selector has fewer labels, and so covers more pods"},
	{func(a, b *Entry) int { return cmp.Compare(a.Pods.Exposure, b.Pods.Exposure) }, "it was made for clients inside the cluster, and this one for others as well"},
	{func(a, b *Entry) int { return compareAge(a.Created, b.Created) }, "it is older; nothing else tells them apart"},
	{compareKeys, "it comes first by name; nothing else tells them apart"},
}

// compareForClients orders the Services of one back end. Clients should use the first.
func compareForClients(a, b *Entry) int {
	for i := range forClients {
		if c := forClients[i].compare(a, b); c != 0 {
			return c
		}
	}
	return 0
}

// Why returns why toolset, and not alias, is what clients should use; empty if it is the
// other way round, or if the pods of one are unknown.
func Why(toolset, alias *service.Backend) string {
	a, b := New(toolset), New(alias)
	if a == nil || b == nil {
		return ""
	}
	for _, c := range forClients {
		switch d := c.compare(a, b); {
		case d < 0:
			return c.why
		case d > 0:
			return ""
		}
	}
	return ""
}

// compareAge puts the oldest first, and those of unknown age last.
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
