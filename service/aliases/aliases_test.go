package aliases

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/service"
	"kubernaut.io/dynamic-toolset/service/internal/servicetest"
)

// The result is that of comparing all with all, in any order.
func TestFind(t *testing.T) {
	for seed := range uint64(500) {
		life := servicetest.Life{Rand: rand.New(rand.NewPCG(seed, 5))}
		var entries []*Entry
		for i := range 2 + life.IntN(30) {
			svc := servicetest.Service("ns", fmt.Sprintf("s%02d", i), "prometheus")
			life.Select(svc)
			if life.IntN(10) == 0 {
				svc.Annotations = map[string]string{"path": "/"}
			}
			if e := New(servicetest.Identify(svc)); e != nil {
				entries = append(entries, e)
			}
		}
		want := describe(plainToolsets(entries))
		for range 3 {
			life.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
			if got := describe(Find(entries)); got != want {
				t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got, want)
			}
		}
	}
}

// describe lists toolsets with their aliases.
func describe(toolsets [][]*Entry) string {
	var lines []string
	for _, toolset := range toolsets {
		line := ""
		for _, e := range toolset {
			line += e.Name + " "
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// A plainNode is all Services with one selector and port, handled in the simplest way: by
// comparing all with all.
type plainNode struct {
	labels    map[string]string
	port      service.Pods
	pod       string
	entries   []*Entry
	addressed bool
	part      int
}

func subset(a, b map[string]string) bool {
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

func (n *plainNode) samePort(o *plainNode) bool {
	switch {
	case n.port.Port != 0 && o.port.Port != 0:
		return n.port.Port == o.port.Port
	case n.port.Port == 0 && o.port.Port == 0:
		return n.port.PortName == o.port.PortName
	case n.port.Port == 0:
		return n.port.ServicePort == o.port.Port
	}
	return o.port.ServicePort == n.port.Port
}

// below reports whether n selects some of the pods of o.
func (n *plainNode) below(o *plainNode) bool {
	return n != o && len(o.labels) < len(n.labels) && subset(o.labels, n.labels) && n.samePort(o)
}

// plainToolsets finds aliases as the package comment says.
func plainToolsets(entries []*Entry) (toolsets [][]*Entry) {
	for _, same := range plainParts(entries) {
		slices.SortFunc(same, compareForClients)
		toolset := same[:1:1]
		for _, e := range same[1:] {
			if e.Declared {
				toolsets = append(toolsets, []*Entry{e})
			} else {
				toolset = append(toolset, e)
			}
		}
		slices.SortFunc(toolset[1:], compareKeys)
		toolsets = append(toolsets, toolset)
	}
	return toolsets
}

func plainParts(group []*Entry) [][]*Entry {
	var normal, pods []*plainNode
	for _, e := range group {
		n := &plainNode{labels: maps.Clone(e.Pods.Selector), port: *e.Pods, entries: []*Entry{e}, addressed: !e.Pods.Headless}
		if name := n.labels["statefulset.kubernetes.io/pod-name"]; name != "" {
			delete(n.labels, "statefulset.kubernetes.io/pod-name")
			n.pod = name[:strings.LastIndex(name, "-")]
		}
		list := &normal
		if n.pod != "" {
			list, n.addressed = &pods, false
		}
		i := slices.IndexFunc(*list, func(o *plainNode) bool {
			return o.pod == n.pod && maps.Equal(o.labels, n.labels) && o.port.Port == n.port.Port && o.port.PortName == n.port.PortName
		})
		if i < 0 {
			*list = append(*list, n)
			continue
		}
		(*list)[i].entries = append((*list)[i].entries, e)
		(*list)[i].addressed = (*list)[i].addressed || n.addressed
	}
	all := slices.Concat(normal, pods)
	for i, n := range all {
		n.part = i
	}
	join := func(a, b *plainNode) {
		from, to := b.part, a.part
		for _, n := range all {
			if n.part == from {
				n.part = to
			}
		}
	}
	several := func(n *plainNode) bool {
		var more []map[string]string
		for _, o := range normal {
			if !o.below(n) || n.addressed && !o.addressed {
				continue
			}
			beyond := maps.Clone(o.labels)
			maps.DeleteFunc(beyond, func(k, v string) bool { return n.labels[k] == v || v == "true" })
			more = append(more, beyond)
		}
		for _, a := range more {
			for _, b := range more {
				if !subset(a, b) && !subset(b, a) {
					return true
				}
			}
		}
		return false
	}
	admits := func(n, o *plainNode) bool { return !several(n) || n.addressed && !o.addressed }
	for _, n := range normal {
		for _, o := range normal {
			switch {
			case n != o && maps.Equal(n.labels, o.labels) && n.samePort(o):
				join(n, o)
			case n.below(o) && admits(o, n) && !slices.ContainsFunc(normal, func(p *plainNode) bool {
				return p != o && n.below(p) && admits(p, n) && len(p.labels) > len(o.labels) && subset(o.labels, p.labels)
			}):
				join(o, n)
			}
		}
	}
	// Each is compared with the state before any were joined.
	found := map[*plainNode]*plainNode{}
	for _, n := range pods {
		near := map[int]*plainNode{}
		called := map[int]*plainNode{}
		for _, o := range normal {
			if n.samePort(o) && (subset(o.labels, n.labels) || subset(n.labels, o.labels)) {
				near[o.part] = o
				for _, v := range o.labels {
					if n.pod == v || strings.HasSuffix(n.pod, "-"+v) {
						called[o.part] = o
					}
				}
			}
		}
		for _, parts := range []map[int]*plainNode{near, called} {
			if len(parts) == 1 && found[n] == nil {
				for _, o := range parts {
					found[n] = o
				}
			}
		}
	}
	for n, o := range found {
		join(o, n)
	}
	byPart := map[int][]*Entry{}
	for _, n := range all {
		byPart[n.part] = append(byPart[n.part], n.entries...)
	}
	return slices.Collect(maps.Values(byPart))
}

// BenchmarkFold is the cost of finding aliases among many Services of one namespace and
// type: as charts have them, and as an attacker may.
func BenchmarkFold(b *testing.B) {
	for _, n := range []int{1000, 10_000} {
		for name, selector := range map[string]func(i int) map[string]string{
			"instances": func(i int) map[string]string { return map[string]string{"app": "x", "instance": strconv.Itoa(i)} },
			"the same":  func(i int) map[string]string { return map[string]string{"app": "x"} },
			"covered": func(i int) map[string]string {
				if i == 0 {
					return map[string]string{"app": "x"}
				}
				return map[string]string{"app": "x", "instance": strconv.Itoa(i)}
			},
			"subsets": func(i int) map[string]string {
				s := map[string]string{}
				for j := range 8 {
					if i>>j&1 != 0 {
						s["k"+strconv.Itoa(j)] = "v"
					}
				}
				s["n"] = strconv.Itoa(i >> 8)
				return s
			},
			"pods": func(i int) map[string]string {
				return map[string]string{"app": "x", "statefulset.kubernetes.io/pod-name": fmt.Sprintf("x-%d-0", i)}
			},
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				entries := make([]*Entry, n)
				for i := range entries {
					p := &service.Pods{Selector: selector(i), Port: 9090, ServicePort: 9090}
					entries[i] = New(&service.Backend{Key: service.Key{Namespace: "ns", Name: strconv.Itoa(i)}, Pods: p})
				}
				for b.Loop() {
					samePods(entries)
				}
			})
		}
	}
}
