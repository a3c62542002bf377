package aliases

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strconv"
	"strings"

	"kubernaut.io/dynamic-toolset/service"
)

// A selector is the selector of a Service, prepared for comparison.
type selector struct {
	labels []selectedLabel // in the order of pair
	sum    uint64          // exclusive or of their pairs
	pod    string          // name of the pod without its number, if only one pod is selected
}

type selectedLabel struct {
	key, pair uint64 // hashes of the key, and of key and value
	value     string
	flag      bool
}

// selectorSeed makes the hashes unpredictable, so that nobody can choose labels that
// collide with those of others.
var selectorSeed = maphash.MakeSeed()

// podLabels are the labels that Kubernetes gives to a single pod of a StatefulSet.
var podLabels = []string{"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"}

func selectorOf(p *service.Pods) *selector {
	s := &selector{labels: make([]selectedLabel, 0, len(p.Selector))}
	for k, v := range p.Selector {
		if slices.Contains(podLabels, k) {
			if name := strings.TrimRight(v, "0123456789"); len(name) > len(s.pod) || s.pod == "" {
				s.pod = cmp.Or(strings.TrimSuffix(name, "-"), v)
			}
			continue
		}
		s.labels = append(s.labels, selectedLabel{
			key: maphash.String(selectorSeed, k), pair: maphash.String(selectorSeed, k+"="+v), value: v, flag: v == "true",
		})
	}
	slices.SortFunc(s.labels, func(a, b selectedLabel) int { return cmp.Compare(a.pair, b.pair) })
	for _, l := range s.labels {
		s.sum ^= l.pair
	}
	if s.sum == 0 && s.pod != "" { // no label but that of the pod
		s.sum = maphash.String(selectorSeed, s.pod)
	}
	return s
}

func (s *selector) has(pair uint64) bool {
	_, found := slices.BinarySearchFunc(s.labels, pair, func(l selectedLabel, pair uint64) int { return cmp.Compare(l.pair, pair) })
	return found
}

// within reports whether all labels of s are labels of o.
func (s *selector) within(o *selector) bool {
	for i := range s.labels {
		if !o.has(s.labels[i].pair) {
			return false
		}
	}
	return true
}

// beyond returns the labels of s that o lacks, except flags.
func (s *selector) beyond(o *selector) *selector {
	more := &selector{}
	for _, l := range s.labels {
		if !l.flag && !o.has(l.pair) {
			more.labels = append(more.labels, l)
		}
	}
	return more
}

// maxSubsets is the number of labels up to which all subsets of a selector are looked up. A
// selector with more, which nobody has, is only compared with equal ones.
const maxSubsets = 6

// A podsNode is all entries with the same selector and port.
type podsNode struct {
	*selector
	pods      *service.Pods
	entries   []*Entry
	addressed bool // an entry has an IP address, and is not for one pod
	// above are the nodes with some of its labels, below those with more labels.
	above     []*podsNode
	below     []*podsNode
	ambiguous bool      // it covers several different back ends
	root      *podsNode // of its set of nodes that are one back end, by union-find; itself at first
}

func (n *podsNode) find() *podsNode {
	for n.root != n {
		n.root = n.root.root
		n = n.root
	}
	return n
}

func (n *podsNode) union(o *podsNode) {
	if a, b := n.find(), o.find(); a != b {
		b.root = a
	}
}

// A nodeKey is the selector and port of nodes.
type nodeKey struct {
	sum  uint64
	port string
}

// ports returns the keys of the port: own is that under which the node itself is found,
// others are those under which nodes with the same port may be found. A port that is known
// by name is taken for the same as one known by number, if the Service has it under that
// number. Nearly all do.
func (n *podsNode) ports() (own string, others [2]string) {
	number := strconv.Itoa(int(n.pods.ServicePort))
	if n.pods.Port != 0 {
		number = strconv.Itoa(int(n.pods.Port))
		return "n" + number, [2]string{"n" + number, "s" + number}
	}
	return "t" + n.pods.PortName, [2]string{"t" + n.pods.PortName, "n" + number}
}

// samePods groups entries, which must be in a stable order, by back end.
func samePods(entries []*Entry) [][]*Entry {
	if len(entries) == 1 {
		return [][]*Entry{entries}
	}
	var g podsGraph
	g.addAll(entries)
	g.compare()
	g.join()
	return g.parts()
}

type podsGraph struct {
	nodes    []*podsNode
	at       map[nodeKey][]*podsNode
	pods     map[nodeKey]*podsSlot // nodes for one pod
	podNodes []*podsNode
	sizes    [maxSubsets + 1]bool // for each number of labels, whether a node has so many
}

// A podsSlot is all nodes for one pod whose other labels and port are the same.
type podsSlot struct {
	nodes map[string]*podsNode // by the name of the pod, without its number
	near  []*podsNode          // nodes that select the pod, or may
}

func (g *podsGraph) addAll(entries []*Entry) {
	g.at, g.pods = map[nodeKey][]*podsNode{}, map[nodeKey]*podsSlot{}
	for _, e := range entries {
		n := &podsNode{selector: e.selector, pods: e.Pods, entries: []*Entry{e}}
		n.root = n
		own, others := n.ports()
		key := nodeKey{n.sum, own}
		if n.pod != "" {
			g.addPod(key, n)
			continue
		}
		n.addressed = !n.pods.Headless
		known := g.at[key]
		if len(known) > 0 {
			known[0].entries = append(known[0].entries, e)
			known[0].addressed = known[0].addressed || n.addressed
			continue
		}
		g.nodes = append(g.nodes, n)
		g.at[key] = []*podsNode{n}
		if own[0] == 't' {
			// A few are enough: a Service has one port for queries.
			if byNumber := (nodeKey{n.sum, "s" + others[1][1:]}); len(g.at[byNumber]) < 8 {
				g.at[byNumber] = append(g.at[byNumber], n)
			}
		}
		if len(n.labels) <= maxSubsets {
			g.sizes[len(n.labels)] = true
		}
	}
}

func (g *podsGraph) addPod(key nodeKey, n *podsNode) {
	slot := g.pods[key]
	if slot == nil {
		slot = &podsSlot{nodes: map[string]*podsNode{}}
		g.pods[key] = slot
		if len(n.labels) <= maxSubsets {
			g.sizes[len(n.labels)] = true
		}
	}
	if known := slot.nodes[n.pod]; known != nil {
		known.entries = append(known.entries, n.entries...)
		return
	}
	slot.nodes[n.pod] = n
	g.podNodes = append(g.podNodes, n)
}

// compare finds, for each node, those whose selector is part of its own.
func (g *podsGraph) compare() {
	for _, n := range g.nodes {
		g.subsets(n, func(key nodeKey, proper bool) {
			for _, o := range g.at[key] {
				switch {
				case o == n:
				case !proper:
					n.union(o)
				default:
					n.above, o.below = append(n.above, o), append(o.below, n)
				}
			}
			if slot := g.pods[key]; slot != nil {
				slot.see(n)
			}
		})
	}
	seen := map[*podsSlot]bool{}
	for _, n := range g.podNodes {
		own, _ := n.ports()
		slot := g.pods[nodeKey{n.sum, own}]
		if seen[slot] {
			continue
		}
		seen[slot] = true
		g.subsets(n, func(key nodeKey, _ bool) {
			for _, o := range g.at[key] {
				slot.see(o)
			}
		})
	}
}

// maxNear is the number of candidates up to which the back end of a pod is looked for.
const maxNear = 64

func (s *podsSlot) see(n *podsNode) {
	if len(s.near) <= maxNear && !slices.Contains(s.near, n) {
		s.near = append(s.near, n)
	}
}

// subsets calls f with the key of each selector that has the labels of n, or some of them,
// if there may be a node with so many labels. proper means that it lacks some.
func (g *podsGraph) subsets(n *podsNode, f func(key nodeKey, proper bool)) {
	_, ports := n.ports()
	for _, port := range ports {
		f(nodeKey{n.sum, port}, false)
	}
	k := len(n.labels)
	if k > maxSubsets || !slices.Contains(g.sizes[:k], true) {
		return
	}
	for bits := 1; bits < 1<<k-1; bits++ {
		sum, size := uint64(0), 0
		for i := range k {
			if bits>>i&1 != 0 {
				sum ^= n.labels[i].pair
				size++
			}
		}
		if g.sizes[size] {
			for _, port := range ports {
				f(nodeKey{sum, port}, true)
			}
		}
	}
}

// join unites the nodes of one back end.
func (g *podsGraph) join() {
	for _, n := range g.nodes {
		n.ambiguous = n.coversSeveral()
	}
	for _, n := range g.nodes {
		for _, o := range n.above {
			if !o.admits(n) {
				continue
			}
			// Unite n with the nearest only, which is united with the others if they are
			// the same.
			between := slices.ContainsFunc(n.above, func(p *podsNode) bool {
				return p != o && len(p.labels) > len(o.labels) && p.admits(n) && o.within(p.selector)
			})
			if !between {
				n.union(o)
			}
		}
	}
	for _, n := range g.podNodes {
		own, _ := n.ports()
		if o := g.pods[nodeKey{n.sum, own}].of(n); o != nil {
			n.union(o)
		}
	}
}

// admits reports whether o, which selects some of the pods of n, may be part of the same
// back end.
func (n *podsNode) admits(o *podsNode) bool { return !n.ambiguous || n.addressed && !o.addressed }

// coversSeveral reports whether n covers several back ends, that is, whether the selectors
// below it don't form a chain in which each is part of the next.
func (n *podsNode) coversSeveral() bool {
	var beyond []*selector
	for _, o := range n.below {
		if o.addressed || !n.addressed {
			if more := o.beyond(n.selector); len(more.labels) > 0 {
				beyond = append(beyond, more)
			}
		}
	}
	slices.SortFunc(beyond, func(a, b *selector) int { return cmp.Compare(len(a.labels), len(b.labels)) })
	for i := 1; i < len(beyond); i++ {
		if !beyond[i-1].within(beyond[i]) {
			return true
		}
	}
	return false
}

// of returns the node of the back end that the pod of n belongs to; nil if there is none or
// any doubt. Of several, it is the one that gives the pod its name: prometheus-shop-0 is a
// pod of the Prometheus called shop.
func (s *podsSlot) of(n *podsNode) *podsNode {
	if len(s.near) > maxNear {
		return nil
	}
	one := func(is func(*podsNode) bool) (found *podsNode, several bool) {
		for _, o := range s.near {
			switch {
			case !is(o) || found != nil && found.find() == o.find():
			case found != nil:
				return nil, true
			default:
				found = o
			}
		}
		return found, false
	}
	if found, several := one(func(*podsNode) bool { return true }); !several {
		return found
	}
	found, _ := one(func(o *podsNode) bool {
		return slices.ContainsFunc(o.labels, func(l selectedLabel) bool { return n.pod == l.value || strings.HasSuffix(n.pod, "-"+l.value) })
	})
	return found
}

// parts returns the entries of each back end.
func (g *podsGraph) parts() [][]*Entry {
	byRoot := map[*podsNode][]*Entry{}
	var roots []*podsNode
	for _, n := range slices.Concat(g.nodes, g.podNodes) {
		root := n.find()
		if byRoot[root] == nil {
			roots = append(roots, root)
		}
		byRoot[root] = append(byRoot[root], n.entries...)
	}
	parts := make([][]*Entry, 0, len(roots))
	for _, root := range roots {
		parts = append(parts, byRoot[root])
	}
	return parts
}
