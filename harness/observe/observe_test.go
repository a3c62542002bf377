package observe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"kubernaut.io/dynamic-toolset/harness/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const problemDoc = `{"type":"https://kubernaut.io/errors/service-unavailable","title":"Service Unavailable","status":503,"instance":"/ready"}`

// fixture is an API with one ready pod in one slice, and a server in place of the pod.
type fixture struct {
	t        *testing.T
	api      *fake.Clientset
	pod      *corev1.Pod
	slice    *discoveryv1.EndpointSlice
	stopping atomic.Bool
	observer *Observer
}

func start(t *testing.T) *fixture {
	f := &fixture{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ready" && f.stopping.Load() {
			w.Header().Set("Content-Type", "application/problem+json; charset=utf-8")
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(problemDoc))
		}
	}))
	t.Cleanup(server.Close)
	f.pod = &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "a", UID: "1", Labels: map[string]string{"app": "web", "pod-template-hash": "h"}},
		Spec:       corev1.PodSpec{NodeName: "node0"},
		Status: corev1.PodStatus{
			PodIP: "10.244.1.2", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{Name: "web", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}},
		},
	}
	yes := true
	f.slice = &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.1.2"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
	}
	other := f.pod.DeepCopy()
	other.Name, other.UID, other.Labels = "other", "2", map[string]string{"app": "db"}
	f.api = fake.NewClientset(f.pod.DeepCopy(), other, f.slice.DeepCopy())
	o, err := Start(t.Context(), Options{
		Client: f.api, Namespace: "n", Selector: labels.SelectorFromSet(labels.Set{"app": "web"}), Service: "web", Container: "web",
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "10.244.1.2:8080" {
				t.Errorf("a probe of %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		},
		ReadinessPath: "/ready", ReadinessPort: 8080, LivenessPath: "/live", LivenessPort: 8080,
		Milestones: []string{"one", "two"}, Signal: "one",
	})
	if err != nil {
		t.Fatal(err)
	}
	f.observer = o
	t.Cleanup(o.Stop)
	return f
}

// update stores the pod, and waits until the observer has seen the change.
func (f *fixture) update(seen func(record.Pod) bool) {
	f.t.Helper()
	if _, err := f.api.CoreV1().Pods("n").Update(f.t.Context(), f.pod.DeepCopy(), metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
	f.wait(seen)
}

func (f *fixture) wait(seen func(record.Pod) bool) {
	f.t.Helper()
	for end := time.Now().Add(10 * time.Second); !seen(f.observer.Pods()[0]); {
		if time.Now().After(end) {
			f.t.Fatalf("not seen: %+v", f.observer.Pods()[0])
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestLifeOfAPod(t *testing.T) {
	f := start(t)
	if pods := f.observer.Pods(); len(pods) != 1 || pods[0].Name != "a" || pods[0].Ready.IsZero() || pods[0].Revision != "h" || pods[0].Node != "node0" {
		t.Fatalf("%+v", pods)
	}
	if ready, terminating := f.observer.Count(); ready != 1 || terminating != 0 {
		t.Errorf("%d ready, %d terminating", ready, terminating)
	}

	f.stopping.Store(true)
	now, grace := metav1.Now(), int64(45)
	f.pod.DeletionTimestamp, f.pod.DeletionGracePeriodSeconds, f.pod.Finalizers = &now, &grace, []string{"x/y"}
	f.update(func(p record.Pod) bool { return !p.Deleted.IsZero() })
	if p := f.observer.Pods()[0]; p.Grace != 45*time.Second || !p.EndpointGone.IsZero() {
		t.Errorf("grace %s, endpoint gone at %v", p.Grace, p.EndpointGone)
	}
	for _, e := range []corev1.Event{
		{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "e1", UID: "e1"}, InvolvedObject: corev1.ObjectReference{UID: "2"}, Reason: "Killing"},
		{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "e2", UID: "e2"}, InvolvedObject: corev1.ObjectReference{UID: "1"}, Reason: "Pulled"},
	} {
		if _, err := f.api.CoreV1().Events("n").Create(t.Context(), &e, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	f.wait(func(record.Pod) bool { return len(f.observer.seenEvents()) == 2 })
	if p := f.observer.Pods()[0]; !p.Killing.IsZero() {
		t.Error("another pod's end, or another event, was taken for its own")
	}
	killing := corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "e3", UID: "e3"}, InvolvedObject: corev1.ObjectReference{UID: "1"}, Reason: "Killing"}
	if _, err := f.api.CoreV1().Events("n").Create(t.Context(), &killing, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.wait(func(p record.Pod) bool { return !p.Killing.IsZero() && !p.Killing.Before(p.Deleted) })
	no := false
	f.slice.Endpoints[0].Conditions.Ready = &no // terminating endpoints stay in the slice, but are not ready
	if _, err := f.api.DiscoveryV1().EndpointSlices("n").Update(t.Context(), f.slice.DeepCopy(), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.wait(func(p record.Pod) bool { return !p.EndpointGone.IsZero() })
	f.wait(func(p record.Pod) bool { return len(p.Probes) >= 4 })

	f.pod.Status.ContainerStatuses[0].State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}
	f.pod.Status.PodIP = ""
	f.update(func(p record.Pod) bool { return p.ExitCode != nil })
	if err := f.api.CoreV1().Pods("n").Delete(t.Context(), "a", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.wait(func(p record.Pod) bool { return !p.Gone.IsZero() })
	f.observer.Stop()

	p := f.observer.Pods()[0]
	if p.IP != "10.244.1.2" {
		t.Errorf("its address is forgotten: %q", p.IP)
	}
	if *p.ExitCode != 3 || p.Reason != "Error" || p.Lost || p.Exited.Before(p.EndpointGone) || p.Gone.Before(p.Exited) {
		t.Errorf("%+v", p)
	}
	for _, q := range p.Probes {
		if want := map[record.ProbeKind]int{record.Readiness: 503, record.Liveness: 200}[q.Kind]; q.Status != want || q.Problem != (want == 503) {
			t.Errorf("%+v", q)
		}
	}
}

// After an outage of the API server the pod is gone, and its end was not seen.
func TestPodLostDuringAnOutage(t *testing.T) {
	f := start(t)
	f.observer.mu.Lock()
	f.observer.podGone(f.observer.pods["1"], time.Now(), false)
	f.observer.mu.Unlock()
	if p := f.observer.Pods()[0]; !p.Lost || p.Gone.IsZero() || p.Deleted.IsZero() {
		t.Errorf("%+v", p)
	}
}

func TestReadLog(t *testing.T) {
	o := &Observer{opts: Options{Milestones: []string{"one", "two"}, Signal: "one"}}
	p := &pod{}
	early := ""
	for i := range logTail - 2 {
		early += fmt.Sprintf("2026-01-02T03:04:04.%09dZ early\n", i+1)
	}
	text := early + `2026-01-02T03:04:05.000000001Z {"msg":"start"}
2026-01-02T03:04:05.000000002Z {"msg":"one"}
no time: not the kubelet's
2026-01-02T03:04:05.000000002Z {"msg":"one"}
2026-01-02T03:04:05.000000003Z {"msg":"two"}
2026-01-02T03:04:05.000000004Z ` + strings.Repeat("x", 2*maxLine) + `
`
	if err := o.readLog(p, readCloser{strings.NewReader(text)}); err != nil {
		t.Fatal(err)
	}
	if n := logTail; len(p.Log) != n || p.Log[0].At.Nanosecond() != 3 || !strings.Contains(p.Log[n-3].Text, "one") || len(p.Log[n-1].Text) != maxLine {
		t.Errorf("%d lines: %.60v", len(p.Log), p.Log)
	}
	if len(p.Milestones) != 2 || !p.Signalled.Equal(time.Date(2026, 1, 2, 3, 4, 5, 2, time.UTC)) {
		t.Errorf("%v, signalled %v", p.Milestones, p.Signalled)
	}
}

// An Event counts from the first moment of the run, and one that was there before never.
func TestEvents(t *testing.T) {
	event := func(name string) *corev1.Event {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, UID: types.UID(name)}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: name}, Reason: "Pulled"}
	}
	api := fake.NewClientset(event("before"))
	watches := make(chan struct{}, 10)
	api.PrependWatchReactor("events", func(clienttesting.Action) (bool, watch.Interface, error) {
		w, err := api.Tracker().Watch(corev1.SchemeGroupVersion.WithResource("events"), "n")
		watches <- struct{}{}
		return true, w, err
	})
	o, err := Start(t.Context(), Options{Client: api, Namespace: "n", Selector: labels.Everything(), Service: "web"})
	if err != nil {
		t.Fatal(err)
	}
	defer o.Stop()
	<-watches
	if _, err := api.CoreV1().Events("n").Create(t.Context(), event("first"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); len(o.Events()) == 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if got := o.Events(); len(got) != 1 || got[0].Object != "Pod/first" {
		t.Errorf("got %+v", got)
	}
}

// Without the right to list Events, the rest is observed.
func TestNoEvents(t *testing.T) {
	api := fake.NewClientset()
	api.PrependReactor("list", "events", func(clienttesting.Action) (bool, runtime.Object, error) {
		return true, nil, errors.New("forbidden")
	})
	o, err := Start(t.Context(), Options{Client: api, Namespace: "n", Selector: labels.Everything(), Service: "web"})
	if err != nil {
		t.Fatal(err)
	}
	o.Stop()
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// seenEvents returns the identifiers of the Events that were recorded.
func (o *Observer) seenEvents() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var uids []string
	for uid := range o.seen {
		uids = append(uids, uid)
	}
	return uids
}

// A hook that only sleeps says when SIGTERM comes.
func TestSleepOf(t *testing.T) {
	for _, c := range []struct {
		command []string
		want    time.Duration
	}{
		{[]string{"sleep", "10"}, 10 * time.Second}, {[]string{"/bin/sleep", "2.5s"}, 2500 * time.Millisecond}, {[]string{"sleep", "1m"}, time.Minute},
		{[]string{"/bin/sh", "-c", "sleep 15"}, 15 * time.Second}, {[]string{"bash", "-c", " exec sleep 5; "}, 5 * time.Second},
		{[]string{"sh", "-c", "sleep 5; nginx -s quit"}, 0}, {[]string{"nginx", "-s", "quit"}, 0}, {[]string{"sleep", "infinity"}, 0}, {[]string{"sleep"}, 0}, {nil, 0},
	} {
		if got := SleepOf(c.command); got != c.want {
			t.Errorf("%q: %s, not %s", c.command, got, c.want)
		}
	}
}
