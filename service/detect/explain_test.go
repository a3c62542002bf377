package detect

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// mutations change a Service into another that people might have.
var mutations = []func(*rand.Rand, *corev1.Service){
	func(*rand.Rand, *corev1.Service) {},
	func(_ *rand.Rand, s *corev1.Service) { s.Spec.Selector = nil },
	func(_ *rand.Rand, s *corev1.Service) { s.Labels = nil },
	func(_ *rand.Rand, s *corev1.Service) { s.Spec.Ports = nil },
	func(_ *rand.Rand, s *corev1.Service) { s.Spec.ClusterIP = corev1.ClusterIPNone },
	func(r *rand.Rand, s *corev1.Service) {
		s.Name = pick(r, "backend", s.Name+"-exporter", "prometheus-operator", "query-frontend", "es", s.Name+"-grafana")
	},
	func(r *rand.Rand, s *corev1.Service) {
		s.Labels = with(s.Labels, pick(r, "app", "release", "kubernaut.io/toolset", "component", "helm.sh/chart"), pick(r, "true", "grafana", "loki-5.0.1", "operator", "prometheus"))
	},
	func(r *rand.Rand, s *corev1.Service) {
		s.Spec.Selector = with(s.Spec.Selector, pick(r, "app", "team", "kibana.k8s.elastic.co/name", "prometheus"), pick(r, "x", "grafana-agent", "jaeger", "loki"))
	},
	func(r *rand.Rand, s *corev1.Service) {
		for i := range s.Spec.Ports {
			s.Spec.Ports[i].Name = pick(r, "", "web", "metrics", "https", "legacy-http", "grpc", "oauth-proxy")
			s.Spec.Ports[i].Port = pick[int32](r, 80, 443, 8080, 3000, 9090, 9091, 9100, 16686, 1234)
			s.Spec.Ports[i].TargetPort = pick(r, intstr.IntOrString{}, intstr.FromString("http"), intstr.FromInt32(9090), intstr.FromInt32(8080))
			s.Spec.Ports[i].Protocol = pick(r, "", corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP)
		}
	},
	func(r *rand.Rand, s *corev1.Service) {
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, pick(r, "prometheus.example.com", "db.example.com", "")
	},
	annotate, annotate,
	func(r *rand.Rand, s *corev1.Service) { annotate(r, s); annotate(r, s); annotate(r, s) },
}

func annotate(r *rand.Rand, s *corev1.Service) {
	key := pick(r, AnnotationToolset, AnnotationToolset, AnnotationType, AnnotationName, AnnotationEndpoint, AnnotationHealthPath, AnnotationHealthEndpoint,
		AnnotationPrimary, AnnotationDescription, "kubernaut.io/tool", "example.com/x")
	s.Annotations = with(s.Annotations, key, pick(r, "true", "false", "yes", "", "prometheus", "tempo", "mine", "/health", "http://h:9090/x", "http://h/$(id)", "Two words.", "\x00\n"))
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

func with(m map[string]string, k, v string) map[string]string {
	if m = maps.Clone(m); m == nil {
		m = map[string]string{}
	}
	m[k] = v
	return m
}

// everyService calls f with all Services of the corpora, and with mutations of each.
func everyService(t *testing.T, f func(name string, svc *corev1.Service)) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, set := range sets {
		for n, l := range readLabelled(t, filepath.Join("testdata", set.dir)) {
			for i, mutate := range mutations {
				if testenv.Race && (n+i)%8 > 0 { // one in eight, since it takes eight times as long
					continue
				}
				svc := l.svc.DeepCopy()
				mutate(r, svc)
				if i > 0 && r.IntN(2) == 0 {
					mutations[r.IntN(len(mutations))](r, svc)
				}
				f(fmt.Sprintf("%s/%s, mutation %d (%s)", set.dir, l.file, i, svc.Name), svc)
			}
		}
	}
}

// An explanation says what Identify decides, and each change does what it promises.
func TestExplanationsAreTrue(t *testing.T) {
	outcomes, purposes, n := map[Outcome]int{}, map[Purpose]int{}, 0
	everyService(t, func(name string, svc *corev1.Service) {
		n++
		x := checkExplanation(t, name, svc)
		for _, st := range x.Steps {
			outcomes[st.Outcome]++
		}
		for _, c := range x.Changes {
			purposes[c.Purpose]++
		}
		// Whoever asks why a Service is not listed must learn how to list it.
		if x.Result.Backend == nil && !slices.ContainsFunc(x.Changes, func(c Change) bool { return c.Purpose == ToList || c.Purpose == ToRepair }) {
			t.Errorf("%s: nothing would list it: %+v", name, x)
		}
	})
	t.Logf("%d Services, steps %v, changes %v", n, outcomes, purposes)
	for _, o := range []Outcome{Recognised, Rejected, Outranked, NotTried} {
		if outcomes[o] == 0 {
			t.Errorf("no kind was %s", o)
		}
	}
	for _, p := range []Purpose{ToList, ToRepair, ToSplit, ToPrefer, ToRetype, ToSwitch} {
		if purposes[p] == 0 {
			t.Errorf("there was no change for the purpose %s", p)
		}
	}
}

// checkExplanation explains a Service, and checks the explanation against what the rules
// decide, now and after each change.
func checkExplanation(t *testing.T, name string, svc *corev1.Service) Explanation {
	t.Helper()
	r := Default()
	x := r.Explain(svc, Options{})
	if is := r.Identify(svc, Options{}); !reflect.DeepEqual(withoutAdopt(x.Result), withoutAdopt(is)) {
		t.Fatalf("%s: explained is %+v, identified %+v", name, x.Result, is)
	}
	f := r.recognise(svc, pods{})
	checkSteps(t, name, &x, &f, len(r.kinds))
	checkNotes(t, name, &x, svc)
	for _, c := range x.Changes {
		changed := svc.DeepCopy()
		changed.Annotations = c.Apply(svc.Annotations)
		is := r.Identify(changed, Options{})
		if !reflect.DeepEqual(withoutAdopt(c.Result), withoutAdopt(is)) || !c.works(x.Result.Backend) {
			t.Fatalf("%s: the change %+v promises %+v, and leads to %+v", name, c, c.Result, is)
		}
		for key, value := range c.Set {
			if slices.Contains(c.Remove, key) || value == "" {
				t.Errorf("%s: kubectl refuses the change %+v", name, c)
			}
		}
	}
	return x
}

// checkSteps compares the steps with f, which the rules have found.
func checkSteps(t *testing.T, name string, x *Explanation, f *finding, kinds int) {
	t.Helper()
	recognised, rejected, seen := "", "", map[string]bool{}
	for _, st := range x.Steps {
		switch {
		case seen[st.Kind], st.Outcome == "", len(st.For) == 0, st.Outcome != Recognised && len(st.Against) == 0:
			t.Fatalf("%s: an incomplete step %+v", name, st)
		case st.Outcome == Recognised && recognised != "":
			t.Fatalf("%s: two kinds are recognised: %+v", name, x.Steps)
		case st.Outcome == Recognised:
			recognised = st.Kind
		case st.Outcome == Rejected && rejected == "":
			rejected = "looks like " + st.Kind + ", but " + st.Against[0]
		}
		seen[st.Kind] = true
		chosen := 0
		for _, p := range st.Ports {
			if p.Chosen {
				chosen++
			}
			if p.Port == "" || p.Text == "" {
				t.Fatalf("%s: an incomplete port %+v", name, st)
			}
		}
		if chosen > 1 || st.Outcome == Recognised && chosen != 1 {
			t.Fatalf("%s: %d ports are chosen: %+v", name, chosen, st)
		}
	}
	if len(x.Steps)+x.Silent != kinds {
		t.Fatalf("%s: %d steps and %d silent kinds of %d", name, len(x.Steps), x.Silent, kinds)
	}
	want := ""
	if f.kind != nil {
		want = f.kind.typ
	}
	if recognised != want || f.kind == nil && rejected != f.rejected {
		t.Fatalf("%s: the rules find %q (%s), explained is %q (%s)", name, want, f.rejected, recognised, rejected)
	}
}

// checkNotes checks that each annotation is explained, and that none is called right that
// Identify calls wrong.
func checkNotes(t *testing.T, name string, x *Explanation, svc *corev1.Service) {
	t.Helper()
	notes := map[string]Note{}
	for _, n := range x.Annotations {
		if (n.Effect == "") == (n.Problem == "") {
			t.Errorf("%s: %+v", name, n)
		}
		if !n.Label {
			notes[n.Key] = n
		}
	}
	for key := range svc.Annotations {
		if _, ok := notes[key]; ok != strings.HasPrefix(key, annotationPrefix) {
			t.Errorf("%s: %s is explained: %v", name, key, ok)
		}
	}
	for _, p := range x.Result.Problems {
		if !strings.Contains(notes[p.Field].Problem, p.Message) {
			t.Errorf("%s: %+v is not among %+v", name, p, x.Annotations)
		}
	}
}
