package workloads

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"kubernaut.io/dynamic-toolset/cluster/internal/clustertest"
	"kubernaut.io/dynamic-toolset/internal/testenv"
	"kubernaut.io/dynamic-toolset/internal/testenv/apiserver"
	"kubernaut.io/dynamic-toolset/service"
)

// A sink keeps the workloads that it has received.
type sink struct {
	mu       sync.Mutex
	state    map[string]*service.Workload
	replaced int
}

func (s *sink) ReplaceWorkloads(kind, namespace string, all []*service.Workload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replaced++
	for name, w := range s.state {
		if w.Kind == kind && (namespace == "" || w.Key.Namespace == namespace) {
			delete(s.state, name)
		}
	}
	for _, w := range all {
		s.state[w.String()] = w
	}
}

func (s *sink) SetWorkload(w *service.Workload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state[w.String()] = w
}

func (s *sink) DeleteWorkload(w *service.Workload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.state, w.String())
}

// text returns what is known of a namespace, such as "Deployment a:image".
func (s *sink) text(ns string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, w := range s.state {
		if w.Key.Namespace == ns {
			all = append(all, fmt.Sprint(w.Kind, " ", w.Key.Name, ":", w.Containers[0].Image))
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func (s *sink) wants(t *testing.T, ns, want string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("have %q, want %q", s.text(ns), want)
		}
	}()
	testenv.Eventually(t, testenv.Patience, "the workloads are "+want, func() bool { return s.text(ns) == want })
}

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "x"}, Annotations: map[string]string{"secret": "hidden"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: image, Args: []string{"--password=hidden"}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "hidden"}},
			Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: 3000}, {Name: "gossip", ContainerPort: 7946, Protocol: corev1.ProtocolUDP}},
		}}},
	}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}

func deployment(name, image string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Selector: selector, Template: template(image)}}
}

func follow(t *testing.T, client kubernetes.Interface, opts Options) (*Watcher, *sink) {
	t.Helper()
	s := &sink{state: map[string]*service.Workload{}}
	opts.Client, opts.Sink = client, s
	if opts.Logger == nil {
		opts.Logger = clustertest.Logger(t)
	}
	w, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	clustertest.Background(t, func(ctx context.Context) error { w.Run(ctx); return nil })
	select {
	case <-w.Tried():
	case <-time.After(testenv.Patience):
		t.Fatal("not tried")
	}
	return w, s
}

// Workloads are followed as they are created, changed and deleted, also over several pages
// of a list; and nothing but labels, images and ports is kept.
func TestWorkloadsAreFollowed(t *testing.T) {
	t.Parallel()
	a := apiserver.New(t)
	ctx, apps := t.Context(), a.AppsV1()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for i := range 5 {
		must(apps.Deployments(a.NS).Create(ctx, deployment(fmt.Sprint("d", i), "one"), metav1.CreateOptions{}))
	}
	must(apps.StatefulSets(a.NS).Create(ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "s"},
		Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template("two")}}, metav1.CreateOptions{}))
	w, s := follow(t, a, Options{Namespaces: []string{a.NS}, PageSize: 2})
	if got, want := s.text(a.NS), "Deployment d0:one, Deployment d1:one, Deployment d2:one, Deployment d3:one, Deployment d4:one, StatefulSet s:two"; got != want {
		t.Errorf("at first %q, want %q", got, want)
	}
	if err := w.Problem(); err != nil {
		t.Error(err)
	}
	for i := range 4 {
		must(nil, apps.Deployments(a.NS).Delete(ctx, fmt.Sprint("d", i), metav1.DeleteOptions{}))
	}
	must(apps.Deployments(a.NS).Update(ctx, deployment("d4", "three"), metav1.UpdateOptions{}))
	must(apps.DaemonSets(a.NS).Create(ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "n"},
		Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template("four")}}, metav1.CreateOptions{}))
	s.wants(t, a.NS, "DaemonSet n:four, Deployment d4:three, StatefulSet s:two")
	s.mu.Lock()
	defer s.mu.Unlock()
	want := &service.Workload{Kind: "Deployment", Key: service.Key{Namespace: a.NS, Name: "d4"}, Labels: map[string]string{"app": "x"},
		Containers: []service.Container{{Image: "three", Ports: []service.ContainerPort{{Name: "web", Number: 3000}}}}}
	if got := s.state[want.String()]; !got.Equal(want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	for _, w := range s.state {
		if strings.Contains(fmt.Sprintf("%+v", *w), "hidden") {
			t.Errorf("keeps a secret: %+v", *w)
		}
	}
}

// A right that is missing is logged once, and what is allowed works. Once it is granted, all
// works.
func TestRightsAreMissing(t *testing.T) {
	t.Parallel()
	a := apiserver.New(t)
	user := "system:serviceaccount:" + a.NS + ":toolset"
	if _, err := a.AppsV1().Deployments(a.NS).Create(t.Context(), deployment("d", "one"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	rule := func(resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"apps"}, Resources: resources, Verbs: []string{"list", "watch"}}
	}
	a.Grant(user, "some", rule("statefulsets", "daemonsets"))
	core, logs := observer.New(zap.InfoLevel)
	var refused clustertest.Tally
	w, s := follow(t, apiserver.Client(t, a.CP.RESTConfigAs(user)), Options{Namespaces: []string{a.NS}, Logger: zap.New(core), OnForbidden: refused.Note})
	if err := w.Problem(); err == nil || !strings.Contains(err.Error(), user+" may not list deployments") || !strings.Contains(err.Error(), "deploy/components/workload-evidence") {
		t.Errorf("problem: %v", err)
	}
	testenv.Eventually(t, testenv.Patience, "another try", func() bool { return refused.Count("list deployments") >= 2 })
	if n := logs.FilterMessageSnippet("can't be watched").Len(); n != 1 {
		t.Errorf("logged %d times: %v", n, logs.All())
	}
	if got := s.text(a.NS); got != "" {
		t.Errorf("has %s", got)
	}
	a.Grant(user, "rest", rule("deployments"))
	s.wants(t, a.NS, "Deployment d:one")
	testenv.Eventually(t, testenv.Patience, "it is logged", func() bool { return logs.FilterMessageSnippet("watched again").Len() == 1 && w.Problem() == nil })
	if n := refused.Count("list statefulsets") + refused.Count("watch statefulsets"); n != 0 {
		t.Errorf("%d refusals of what is allowed", n)
	}
}

// The end of an API server is survived: what is known stays, and changes are seen after it.
func TestAPIServerGoesAway(t *testing.T) {
	a := apiserver.New(t)
	ctx := t.Context()
	if _, err := a.AppsV1().Deployments(a.NS).Create(ctx, deployment("d", "one"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, s := follow(t, a, Options{Namespaces: []string{a.NS}})
	s.wants(t, a.NS, "Deployment d:one")
	if err := a.CP.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	if got := s.text(a.NS); got != "Deployment d:one" {
		t.Errorf("while it is away: %q", got)
	}
	if err := a.CP.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AppsV1().Deployments(a.NS).Update(ctx, deployment("d", "two"), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.wants(t, a.NS, "Deployment d:two")
}
