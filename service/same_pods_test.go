package service

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// someSelector gives svc one of a few selectors, ports and ages, so that some are the
// same and some are parts of others; or none.
func someSelector(random *rand.Rand, svc *corev1.Service) {
	if random.IntN(4) == 0 {
		return
	}
	svc.Spec.Selector = map[string]string{"app": []string{"x", "y"}[random.IntN(2)]}
	for _, l := range []string{"instance=a", "instance=b", "role=r", "ingest=true", "zone=z"} {
		if random.IntN(5) == 0 {
			k, v, _ := strings.Cut(l, "=")
			svc.Spec.Selector[k] = v
		}
	}
	svc.Spec.Ports = []corev1.ServicePort{{Port: 9090, TargetPort: []intstr.IntOrString{
		intstr.FromInt32(9090), intstr.FromInt32(9090), intstr.FromString("web"), intstr.FromInt32(8080),
	}[random.IntN(4)]}}
	if random.IntN(8) == 0 {
		svc.Spec.Selector["statefulset.kubernetes.io/pod-name"] = fmt.Sprintf("x-%s-%d", []string{"a", "b", "c"}[random.IntN(3)], random.IntN(2))
		svc.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
	}
	if random.IntN(3) == 0 {
		svc.Spec.ClusterIP = "None"
	}
	if random.IntN(2) == 0 {
		svc.CreationTimestamp = metav1.NewTime(time.Unix(int64(random.IntN(3))*1e6, 0))
	}
}

// A plainNode is what one selector and port stand for, told in the simplest way: by
// comparing all with all.
type plainNode struct {
	labels    map[string]string
	port      Pods
	pod       string
	members   []*member
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

// below reports whether n selects some of what o selects.
func (n *plainNode) below(o *plainNode) bool {
	return n != o && len(o.labels) < len(n.labels) && subset(o.labels, n.labels) && n.samePort(o)
}

// plainAliases makes aliases of members as the comment in selector.go has it.
func plainAliases(members map[Key]*member) {
	type groupKey struct{ namespace, kind string }
	groups := map[groupKey][]*member{}
	for _, m := range members {
		if m.backend.Pods != nil {
			m.selector = selectorOf(m.backend.Pods) // for compareForClients
			k := groupKey{m.backend.Key.Namespace, m.backend.Type}
			groups[k] = append(groups[k], m)
		}
	}
	for _, group := range groups {
		for _, same := range plainParts(group) {
			slices.SortFunc(same, compareForClients)
			for _, m := range same[1:] {
				if !m.backend.Declared {
					m.of = same[0]
					same[0].aliases = append(same[0].aliases, m)
				}
			}
			slices.SortFunc(same[0].aliases, compareMembers)
		}
	}
}

func plainParts(group []*member) [][]*member {
	var normal, pods []*plainNode
	for _, m := range group {
		n := &plainNode{labels: maps.Clone(m.backend.Pods.Selector), port: *m.backend.Pods, members: []*member{m}, addressed: !m.backend.Pods.Headless}
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
		(*list)[i].members = append((*list)[i].members, m)
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
	// Each is looked for among what the others are before any was found.
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
	byPart := map[int][]*member{}
	for _, n := range all {
		byPart[n.part] = append(byPart[n.part], n.members...)
	}
	return slices.Collect(maps.Values(byPart))
}

// Whatever the Services: each is a toolset or an alias of exactly one, what is
// declared is a toolset, and the order in which they come does not matter. (The
// random lives compare with plainAliases as well; here there are many of one group.)
func TestAliasesPartition(t *testing.T) {
	for seed := range uint64(200 / shorter) {
		random := rand.New(rand.NewPCG(seed, 5))
		var all []*corev1.Service
		for i := range 2 + random.IntN(30) {
			svc := testService("ns", fmt.Sprintf("s%02d", i), "prometheus")
			someSelector(random, svc)
			if random.IntN(10) == 0 {
				svc.Annotations = map[string]string{"path": "/"}
			}
			all = append(all, svc)
		}
		var first string
		for range 3 {
			random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			c := NewCatalogue(testIdentify, nil)
			c.Replace(nil)
			for _, svc := range all {
				c.Upsert(svc)
				if random.IntN(3) == 0 {
					c.Build()
				}
			}
			c.Build()
			shown := describeAliases(t, c.Snapshot(), len(all))
			if first == "" {
				first = shown
				compareWithPlain(t, c)
			}
			if shown != first {
				t.Fatalf("seed %d: the order of events matters:\n%s\n%s", seed, first, shown)
			}
		}
	}
}

// describeAliases lists the toolsets of a snapshot with their aliases, which must
// be all of total Services, each once.
func describeAliases(t *testing.T, s *Snapshot, total int) string {
	t.Helper()
	var lines []string
	seen := map[Key]bool{}
	see := func(k Key) {
		if seen[k] {
			t.Fatalf("%s is there twice", k)
		}
		seen[k] = true
	}
	for _, r := range s.all {
		see(r.backend.Key)
		for _, k := range r.aliases {
			see(k)
		}
		lines = append(lines, fmt.Sprint(r.key(), r.aliases))
	}
	if len(seen) != total || s.Services().Len() != total {
		t.Fatalf("%d of %d are there, and %d in the list of Services", len(seen), total, s.Services().Len())
	}
	return strings.Join(lines, "\n")
}
