// Package workloads knows which pods each Service selects, and what these run.
//
// An [Index] has the workloads, and finds those of a Service. [Index.Follow] returns a
// [Follower] to be put between the source of Services and the catalogue. It remembers the
// Services, so that it can pass on again those whose workloads have changed.
//
// Who selects whom: the selector of a Service is a subset of the labels of the pods. In an
// index of labels, each Service is filed under one label of its selector and each workload
// under all of its labels, so that neither has to be compared with all others.
package workloads

import (
	"cmp"
	"slices"
	"sync"

	"kubernaut.io/dynamic-toolset/service"
)

// Bounds on what is looked at for one Service. More is no ordinary cluster.
const (
	maxScanned  = 10_000 // workloads that have one label of its selector
	maxSelected = 100    // workloads that have all
)

// A label is one label or one requirement of a selector.
type label struct{ key, value string }

// An id names a workload.
type id struct {
	kind string
	key  service.Key
	part string
}

func idOf(w *service.Workload) id { return id{w.Kind, w.Key, w.Part} }

func (a id) compare(b id) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), a.key.Compare(b.key), cmp.Compare(a.part, b.part))
}

// An Index has the workloads of a cluster. The zero Index is empty. Its methods may be
// called concurrently.
type Index struct {
	mu         sync.RWMutex
	all        map[id]*service.Workload
	namespaces map[string]map[label][]*service.Workload // by label; each list is in the order of ids
	interned   map[string]string
}

// Selected implements [service.Workloads].
func (x *Index) Selected(namespace string, selector map[string]string) []*service.Workload {
	x.mu.RLock()
	defer x.mu.RUnlock()
	by := x.namespaces[namespace]
	if by == nil || len(selector) == 0 {
		return nil
	}
	var fewest []*service.Workload
	first := true
	for k, v := range selector {
		have := by[label{k, v}]
		if len(have) == 0 {
			return nil
		}
		if first || len(have) < len(fewest) {
			fewest, first = have, false
		}
	}
	var found []*service.Workload
	for _, w := range fewest[:min(len(fewest), maxScanned)] {
		if selects(selector, w.Labels) {
			if found = append(found, w); len(found) == maxSelected {
				break
			}
		}
	}
	// The lists of different labels have the same order, so that of found does not depend
	// on which was the shortest.
	return found
}

// selects reports whether labels has all of selector.
func selects(selector, labels map[string]string) bool {
	for k, v := range selector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return true
}

// set adds w or changes it, and returns what was there before; nil if nothing was.
func (x *Index) set(w *service.Workload) (before *service.Workload, changed bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := idOf(w)
	before = x.all[key]
	if before.Equal(w) {
		return before, false
	}
	w = x.compact(w)
	x.unfile(before)
	if x.all == nil {
		x.all, x.namespaces = map[id]*service.Workload{}, map[string]map[label][]*service.Workload{}
	}
	x.all[key] = w
	by := x.namespaces[key.key.Namespace]
	if by == nil {
		by = map[label][]*service.Workload{}
		x.namespaces[key.key.Namespace] = by
	}
	for k, v := range w.Labels {
		list := by[label{k, v}]
		at, _ := slices.BinarySearchFunc(list, key, func(o *service.Workload, key id) int { return idOf(o).compare(key) })
		if list == nil {
			list = make([]*service.Workload, 0, 1) // most labels are of one workload
		}
		by[label{k, v}] = slices.Insert(list, at, w)
	}
	return before, true
}

// remove removes a workload, and returns it; nil if there is none.
func (x *Index) remove(key id) *service.Workload {
	x.mu.Lock()
	defer x.mu.Unlock()
	w := x.all[key]
	x.unfile(w)
	delete(x.all, key)
	return w
}

// unfile removes w, which may be nil, from the index of labels. x.mu is held.
func (x *Index) unfile(w *service.Workload) {
	if w == nil {
		return
	}
	key := idOf(w)
	by := x.namespaces[key.key.Namespace]
	for k, v := range w.Labels {
		l := label{k, v}
		list := by[l]
		if at, ok := slices.BinarySearchFunc(list, key, func(o *service.Workload, key id) int { return idOf(o).compare(key) }); ok {
			if list = slices.Delete(list, at, at+1); len(list) == 0 {
				delete(by, l)
			} else {
				by[l] = list
			}
		}
	}
	if len(by) == 0 {
		delete(x.namespaces, key.key.Namespace)
	}
}

// ids returns the workloads of a kind in a namespace; an empty string stands for all.
func (x *Index) ids(kind, namespace string) []id {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []id
	for key := range x.all {
		if (kind == "" || key.kind == kind) && (namespace == "" || key.key.Namespace == namespace) {
			out = append(out, key)
		}
	}
	return out
}

// maxInterned bounds the memory for strings that perhaps nobody uses any more.
const maxInterned = 100_000

// compact returns a copy of w that shares strings with other workloads where many have the
// same. x.mu is held.
func (x *Index) compact(w *service.Workload) *service.Workload {
	c := *w
	c.Kind, c.Key.Namespace = x.intern(w.Kind), x.intern(w.Key.Namespace)
	c.Labels = make(map[string]string, len(w.Labels))
	for k, v := range w.Labels {
		c.Labels[x.intern(k)] = v
	}
	c.Containers = make([]service.Container, len(w.Containers))
	for i, from := range w.Containers {
		to := service.Container{Image: x.intern(from.Image), Prefix: x.intern(from.Prefix)}
		if len(from.Ports) > 0 {
			to.Ports = make([]service.ContainerPort, len(from.Ports))
			for j, p := range from.Ports {
				to.Ports[j] = service.ContainerPort{Name: x.intern(p.Name), Number: p.Number}
			}
		}
		c.Containers[i] = to
	}
	return &c
}

func (x *Index) intern(s string) string {
	if known, ok := x.interned[s]; ok {
		return known
	}
	if x.interned == nil || len(x.interned) >= maxInterned {
		x.interned = map[string]string{}
	}
	x.interned[s] = s
	return s
}
