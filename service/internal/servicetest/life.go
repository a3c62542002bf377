package servicetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/service"
)

// Shorter divides the length of random lives: with the race detector, compression is twenty
// times slower.
var Shorter = map[bool]int{false: 1, true: 8}[testenv.Race]

// A Life makes random changes, as in a cluster.
type Life struct{ *rand.Rand }

// Service returns a Service with one of few names, so that Services come again and names
// collide.
func (l Life) Service() *corev1.Service {
	svc := Service(fmt.Sprintf("ns%d", l.IntN(3)), fmt.Sprintf("s%d", l.IntN(150)), []string{"loki", "tempo", "s1", "s2", ""}[l.IntN(5)])
	svc.Annotations = map[string]string{"path": strconv.Itoa(l.IntN(2)), "mere": "1"}
	l.Select(svc)
	if l.IntN(4) == 0 {
		svc.Annotations["name"] = []string{"s1", "s2", "s1-s2", "other"}[l.IntN(4)]
		delete(svc.Annotations, "mere")
	}
	for _, mark := range []string{"primary", "off"} {
		if l.IntN(6) == 0 {
			svc.Annotations[mark] = "1"
		}
	}
	return svc
}

// Services returns up to 299 Services.
func (l Life) Services() (all []*corev1.Service) {
	for range l.IntN(300) {
		all = append(all, l.Service())
	}
	return all
}

// Select gives svc one of a few selectors, ports and ages, so that some are equal and some
// are part of others, or leaves it without any.
func (l Life) Select(svc *corev1.Service) {
	if l.IntN(4) == 0 {
		return
	}
	svc.Spec.Selector = map[string]string{"app": []string{"x", "y"}[l.IntN(2)]}
	for _, label := range []string{"instance=a", "instance=b", "role=r", "ingest=true", "zone=z"} {
		if l.IntN(5) == 0 {
			k, v, _ := strings.Cut(label, "=")
			svc.Spec.Selector[k] = v
		}
	}
	svc.Spec.Ports = []corev1.ServicePort{{Port: 9090, TargetPort: []intstr.IntOrString{
		intstr.FromInt32(9090), intstr.FromInt32(9090), intstr.FromString("web"), intstr.FromInt32(8080),
	}[l.IntN(4)]}}
	if l.IntN(8) == 0 {
		svc.Spec.Selector["statefulset.kubernetes.io/pod-name"] = fmt.Sprintf("x-%s-%d", []string{"a", "b", "c"}[l.IntN(3)], l.IntN(2))
		svc.Spec.Ports[0].TargetPort = intstr.FromInt32(9090)
	}
	if l.IntN(3) == 0 {
		svc.Spec.ClusterIP = "None"
	}
	if l.IntN(2) == 0 {
		svc.CreationTimestamp = metav1.NewTime(time.Unix(int64(l.IntN(3))*1e6, 0))
	}
}

// Health returns a random outcome of a check.
func (l Life) Health() service.Health {
	return service.Health{Healthy: l.IntN(2) == 0, Reason: fmt.Sprint(l.Uint32()), CheckedAt: time.Unix(l.Int64N(1e9), 0)}
}

// Changed returns b as overrides may have changed it.
func (l Life) Changed(b *service.Backend) *service.Backend {
	changed := *b
	changed.Name = []string{"s1", "s3", b.Name}[l.IntN(3)]
	changed.Enabled = l.IntN(2) == 0
	changed.Type = []string{"changed", "loki", "s1"}[l.IntN(3)]
	changed.Primary = l.IntN(2) == 0
	changed.Pinned = changed.Primary && l.IntN(2) == 0
	return &changed
}

// Added returns a back end that overrides may add.
func (l Life) Added() *service.Backend {
	name := fmt.Sprintf("s%d", l.IntN(5))
	return &service.Backend{
		Key: service.Key{Namespace: fmt.Sprintf("ns%d", l.IntN(4)), Name: "added:" + name}, Name: name, Type: "added", Enabled: true,
		Endpoint: "http://elsewhere",
	}
}

// A Watcher keeps a list up to date by the changes that a snapshot reports.
type Watcher struct {
	toolsets map[service.Key]string
	sequence uint64 // of the last change
}

// Follow applies the changes since the last call, and checks that they lead to list, the
// current one. s is a snapshot.Snapshot.
func Follow[C ~struct {
	Kind string
	Data []byte
}](t testing.TB, w *Watcher, s interface {
	ChangesSince(uint64) ([]C, uint64, bool)
	Sequence() uint64
}, list []byte) {
	t.Helper()
	changes, _, ok := s.ChangesSince(w.sequence)
	now := map[service.Key]string{}
	for _, toolset := range Decode[struct{ Toolsets []json.RawMessage }](t, list).Toolsets {
		key, shown := visible(t, toolset)
		now[key] = shown
	}
	if w.toolsets != nil && ok {
		for _, c := range changes {
			change := struct {
				Kind string
				Data []byte
			}(c)
			key, shown := visible(t, Decode[struct{ Toolset json.RawMessage }](t, change.Data).Toolset)
			switch _, known := w.toolsets[key]; {
			case known != (change.Kind != "added"):
				t.Fatalf("%s was %s, known before: %v", key, change.Kind, known)
			case change.Kind == "removed":
				delete(w.toolsets, key)
			default:
				w.toolsets[key] = shown
			}
		}
		if !maps.Equal(w.toolsets, now) {
			t.Fatalf("following the changes leads to %v, and the list is %v", w.toolsets, now)
		}
	}
	w.toolsets, w.sequence = now, s.Sequence()
}

// visible returns the key of a toolset, and what of it watchers are told changes of.
func visible(t testing.TB, toolset []byte) (key service.Key, shown string) {
	t.Helper()
	v := Decode[map[string]any](t, toolset)
	for _, untold := range []string{"healthReason", "lastHealthCheck", "healthHistory"} {
		delete(v, untold)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return service.Key{Namespace: v["namespace"].(string), Name: v["name"].(string)}, string(b)
}
