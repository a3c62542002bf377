package workloads

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/service"
)

func workload(kind, ns, name, image string, labels ...string) *service.Workload {
	return &service.Workload{Kind: kind, Key: service.Key{Namespace: ns, Name: name}, Labels: pairs(labels), Containers: []service.Container{{Image: image}}}
}

func svc(ns, name string, selector ...string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{"l": name}},
		Spec: corev1.ServiceSpec{Selector: pairs(selector), Ports: []corev1.ServicePort{{Port: 80}}}}
}

func pairs(all []string) map[string]string {
	m := map[string]string{}
	for _, p := range all {
		k, v, _ := strings.Cut(p, "=")
		m[k] = v
	}
	return m
}

// A sink notes for each Service that it receives what was known of its workloads then, as
// the catalogue does, and how often it received one.
type sink struct {
	index *Index

	mu     sync.Mutex
	in     bool
	state  map[service.Key]string
	counts map[string]int
}

func newSink(x *Index) *sink {
	return &sink{index: x, state: map[service.Key]string{}, counts: map[string]int{}}
}

func (s *sink) enter() func() {
	s.mu.Lock()
	if s.in {
		panic("the sink is called by two at once")
	}
	s.in = true
	s.mu.Unlock()
	return func() { s.mu.Lock(); s.in = false; s.mu.Unlock() }
}

func (s *sink) look(svc *corev1.Service) string {
	s.mu.Lock()
	s.counts[svc.Name]++
	s.mu.Unlock()
	if svc.Labels["l"] != svc.Name {
		return "the Service is not whole"
	}
	var images []string
	for _, w := range s.index.Selected(svc.Namespace, svc.Spec.Selector) {
		images = append(images, w.Containers[0].Image)
	}
	return strings.Join(images, "+")
}

func (s *sink) Upsert(svc *corev1.Service) { defer s.enter()(); s.state[keyOf(svc)] = s.look(svc) }
func (s *sink) Delete(ns, name string) {
	defer s.enter()()
	delete(s.state, service.Key{Namespace: ns, Name: name})
}

func (s *sink) Replace(all []*corev1.Service) {
	defer s.enter()()
	clear(s.state)
	for _, svc := range all {
		s.state[keyOf(svc)] = s.look(svc)
	}
}

func (s *sink) Begin(ns string) service.Replacement {
	return &sinkReplacement{s, map[string]bool{ns: true}, map[service.Key]string{}}
}

type sinkReplacement struct {
	s          *sink
	namespaces map[string]bool
	state      map[service.Key]string
}

func (r *sinkReplacement) Add(all []*corev1.Service) {
	for _, svc := range all {
		r.state[keyOf(svc)] = r.s.look(svc)
	}
}
func (r *sinkReplacement) Remove(ns, name string) {
	delete(r.state, service.Key{Namespace: ns, Name: name})
}
func (r *sinkReplacement) Join(o service.Replacement) {
	maps.Copy(r.namespaces, o.(*sinkReplacement).namespaces)
	maps.Copy(r.state, o.(*sinkReplacement).state)
}
func (r *sinkReplacement) Commit() {
	defer r.s.enter()()
	maps.DeleteFunc(r.s.state, func(k service.Key, _ string) bool { return r.namespaces[""] || r.namespaces[k.Namespace] })
	maps.Copy(r.s.state, r.state)
}

func (s *sink) want(t *testing.T, want string) {
	t.Helper()
	var all []string
	for k, v := range s.state {
		all = append(all, k.String()+":"+v)
	}
	slices.Sort(all)
	if got := strings.Join(all, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Who selects whom.
func TestSelected(t *testing.T) {
	x := &Index{}
	f := x.Follow(newSink(x))
	f.ReplaceWorkloads("", "", []*service.Workload{
		workload("Deployment", "a", "one", "1", "app=x", "tier=web"),
		workload("StatefulSet", "a", "two", "2", "app=x", "tier=db", "extra=1"),
		workload("DaemonSet", "a", "three", "3", "app=y"),
		workload("Deployment", "b", "one", "4", "app=x", "tier=web"),
		workload("Deployment", "a", "bare", "5"),
	})
	for selector, want := range map[string]string{
		"app=x": "1+2", "app=x tier=db": "2", "app=x tier=none": "", "none=1": "", "app=": "", "tier=web app=x": "1", "extra=1": "2", "app=y": "3",
	} {
		var got []string
		for _, w := range x.Selected("a", pairs(strings.Fields(selector))) {
			got = append(got, w.Containers[0].Image)
		}
		if s := strings.Join(got, "+"); s != want {
			t.Errorf("%s: %s, want %s", selector, s, want)
		}
	}
	if got := x.Selected("a", nil); got != nil {
		t.Errorf("nothing selects %v", got)
	}
	if got := x.Selected("c", pairs([]string{"app=x"})); got != nil {
		t.Errorf("in another namespace: %v", got)
	}
}

// Services are passed on again when, and only when, what they select has changed.
func TestServicesFollowTheirWorkloads(t *testing.T) {
	x := &Index{}
	s := newSink(x)
	f := x.Follow(s)
	f.Replace([]*corev1.Service{svc("a", "x", "app=x"), svc("a", "y", "app=y", "tier=web"), svc("a", "bare"), svc("b", "x", "app=x")})
	s.want(t, "a/bare: a/x: a/y: b/x:")
	f.SetWorkload(workload("Deployment", "a", "x", "1", "app=x"))
	s.want(t, "a/bare: a/x:1 a/y: b/x:")
	f.SetWorkload(workload("Deployment", "a", "x", "2", "app=x"))
	s.want(t, "a/bare: a/x:2 a/y: b/x:")
	before := s.counts["x"]
	f.SetWorkload(workload("Deployment", "a", "x", "2", "app=x"))
	if s.counts["x"] != before || s.counts["bare"] != 1 || s.counts["y"] != 1 {
		t.Errorf("passed on although nothing has changed: %v", s.counts)
	}
	f.SetWorkload(workload("Deployment", "a", "x", "2", "app=y", "tier=web"))
	s.want(t, "a/bare: a/x: a/y:2 b/x:")
	f.Upsert(svc("a", "x", "tier=web"))
	s.want(t, "a/bare: a/x:2 a/y:2 b/x:")
	f.Delete("a", "y")
	f.SetWorkload(workload("Deployment", "a", "x", "3", "app=y", "tier=web"))
	s.want(t, "a/bare: a/x:3 b/x:")
	f.SetWorkload(workload("DaemonSet", "a", "x", "4", "tier=web"))
	s.want(t, "a/bare: a/x:4+3 b/x:")
	f.ReplaceWorkloads("Deployment", "a", []*service.Workload{workload("Deployment", "a", "z", "5", "tier=web")})
	s.want(t, "a/bare: a/x:4+5 b/x:")
	f.ReplaceWorkloads("Deployment", "b", []*service.Workload{workload("Deployment", "b", "z", "6", "app=x")})
	s.want(t, "a/bare: a/x:4+5 b/x:6")
	f.DeleteWorkload(workload("DaemonSet", "a", "x", ""))
	f.DeleteWorkload(workload("DaemonSet", "a", "none", ""))
	s.want(t, "a/bare: a/x:5 b/x:6")
	f.ReplaceWorkloads("", "", nil)
	s.want(t, "a/bare: a/x: b/x:")
	if len(x.all) != 0 || len(x.namespaces) != 0 {
		t.Errorf("left behind: %v, %v", x.all, x.namespaces)
	}
	f.Replace(nil)
	f.Upsert(svc("a", "x", "app=x"))
	f.Delete("a", "x")
	if len(f.services.namespaces) != 0 {
		t.Errorf("left behind: %v", f.services.namespaces)
	}
}

// A state that was read before workloads have changed is put right when it becomes the
// current one.
func TestWorkloadsChangeDuringAList(t *testing.T) {
	for _, changes := range []int{1, 3 * maxChanges} {
		x := &Index{}
		s := newSink(x)
		f := x.Follow(s)
		f.SetWorkload(workload("Deployment", "a", "x", "1", "app=x"))
		f.Replace([]*corev1.Service{svc("a", "old", "app=x"), svc("b", "stays", "app=x")})
		a, c := f.Begin("a"), f.Begin("c")
		a.Add([]*corev1.Service{svc("a", "x", "app=x"), svc("a", "y", "app=y"), svc("a", "gone", "app=x")})
		a.Remove("a", "gone")
		c.Add([]*corev1.Service{svc("c", "x", "app=x")})
		a.Join(c)
		for i := range changes {
			f.SetWorkload(workload("Deployment", "a", "x", fmt.Sprint("new", i), "app=x"))
		}
		s.want(t, fmt.Sprintf("a/old:new%d b/stays:", changes-1))
		a.Commit()
		s.want(t, fmt.Sprintf("a/x:new%d a/y: b/stays: c/x:", changes-1))
		f.SetWorkload(workload("Deployment", "a", "y", "2", "app=y"))
		f.SetWorkload(workload("Deployment", "b", "x", "3", "app=x"))
		f.SetWorkload(workload("Deployment", "c", "x", "4", "app=x"))
		s.want(t, fmt.Sprintf("a/x:new%d a/y:2 b/stays:3 c/x:4", changes-1))
		all := f.Begin("")
		all.Commit()
		s.want(t, "")
		if len(f.services.namespaces) != 0 {
			t.Errorf("left behind: %v", f.services.namespaces)
		}
	}
}

// Whatever changes at the same time: in the end the sink knows of each Service what is true,
// and it is never called by two at once.
func TestConcurrentChanges(t *testing.T) {
	x := &Index{}
	s := newSink(x)
	f := x.Follow(s)
	const names, rounds = 20, 300
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := range rounds {
				n := (i*7 + worker) % names
				f.SetWorkload(workload("Deployment", "a", fmt.Sprint(worker, "-", n), fmt.Sprint(worker, ".", n, ".", i), fmt.Sprint("app=", (n+i)%names)))
			}
		})
	}
	wg.Go(func() {
		for i := range rounds {
			switch i % 10 {
			case 9:
				r := f.Begin("a")
				for n := range names {
					r.Add([]*corev1.Service{svc("a", fmt.Sprint("s", n), fmt.Sprint("app=", n))})
				}
				r.Commit()
			case 5:
				f.Delete("a", fmt.Sprint("s", i%names))
			default:
				f.Upsert(svc("a", fmt.Sprint("s", i%names), fmt.Sprint("app=", i%names)))
			}
		}
	})
	wg.Wait()
	if len(s.state) != names {
		t.Fatalf("%d Services", len(s.state))
	}
	for n := range names {
		one := svc("a", fmt.Sprint("s", n), fmt.Sprint("app=", n))
		if got, want := s.state[keyOf(one)], s.look(one); got != want {
			t.Errorf("%s: %s, and it is %s", one.Name, got, want)
		}
	}
}

// What nobody has is bounded, and the same each time.
func TestManyWorkloadsOfOneService(t *testing.T) {
	x := &Index{}
	f := x.Follow(newSink(x))
	var all []*service.Workload
	for i := range 3 * maxSelected {
		all = append(all, workload("Deployment", "a", fmt.Sprintf("w%04d", (i*7)%(3*maxSelected)), "i", "app=x", fmt.Sprint("n=", i%2)))
	}
	f.ReplaceWorkloads("", "", all)
	got := x.Selected("a", pairs([]string{"app=x"}))
	if len(got) != maxSelected || got[0].Key.Name != "w0000" || !slices.IsSortedFunc(got, func(a, b *service.Workload) int { return idOf(a).compare(idOf(b)) }) {
		t.Errorf("%d, from %v", len(got), got[0])
	}
}
