package rollout

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// When a rollout is complete, and when the last of the old pods are gone, too.
func TestProgress(t *testing.T) {
	for name, x := range map[string]struct {
		state         State
		pods          int
		done, settled bool
	}{
		"complete, with an old pod":  {State{Replicas: 2, observed: true, updated: 2, available: 2}, 3, true, false},
		"settled":                    {State{Replicas: 2, observed: true, updated: 2, available: 2}, 2, true, true},
		"not seen by its controller": {State{Replicas: 2, updated: 2, available: 2}, 2, false, false},
		"one is old":                 {State{Replicas: 2, observed: true, updated: 1, available: 2}, 2, false, false},
		"one is not available":       {State{Replicas: 2, observed: true, updated: 2, available: 1}, 2, false, false},
		"old ones beside new ones":   {State{Replicas: 2, observed: true, updated: 2, available: 2, others: 1}, 3, false, false},
		"a partition stays old":      {State{Replicas: 3, observed: true, updated: 1, available: 3, partition: 2}, 3, true, true},
	} {
		pods := make([]corev1.Pod, x.pods)
		if done, text := x.state.progress(pods, false); done != x.done {
			t.Errorf("%s: complete: %v (%s)", name, done, text)
		}
		if done, text := x.state.progress(pods, true); done != x.settled {
			t.Errorf("%s: settled: %v (%s)", name, done, text)
		}
	}
}

// A pod that crashes again and again makes the wait end, unless the pod is on its way out:
// that one is of an earlier template, or will soon not matter.
func TestHopeless(t *testing.T) {
	crashed := corev1.ContainerStatus{Name: "c", RestartCount: maxCrashes, LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 3, Reason: "Error"}}}
	now := metav1.Now()
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{crashed}}}
	ending := *pod.DeepCopy()
	ending.DeletionTimestamp = &now
	once := *pod.DeepCopy()
	once.Status.ContainerStatuses[0].RestartCount = maxCrashes - 1
	unpulled := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{
		{Name: "c", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}},
	}}}
	for name, x := range map[string]struct {
		pod   corev1.Pod
		since time.Duration
		want  string
	}{
		"crashes":                {pod, 0, "exit code 3 (Error)"},
		"crashes, and is ending": {ending, 0, ""},
		"crashed once":           {once, 0, ""},
		"no image for a moment":  {unpulled, 0, ""},
		"no image":               {unpulled, hopelessAfter + time.Second, "can't start: ErrImagePull: no such image"},
	} {
		since := map[string]time.Time{"p c": time.Now().Add(-x.since)}
		if why := hopeless(&State{}, []corev1.Pod{x.pod}, since); x.want == "" && why != "" || !strings.Contains(why, x.want) {
			t.Errorf("%s: %q", name, why)
		}
	}
}

// Wait asks again until all is settled, and says what is missing if that takes too long.
func TestWait(t *testing.T) {
	two := int32(2)
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: "d"},
		Spec:       appsv1.DeploymentSpec{Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}},
		Status:     appsv1.DeploymentStatus{Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2},
	}
	api := fake.NewClientset(d)
	for _, name := range []string{"x", "y", "old"} {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "n", Name: name, Labels: map[string]string{"a": "b"}}}
		if _, err := api.CoreV1().Pods("n").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w := Workload{Client: api, Kind: Deployment, Namespace: "n", Name: "d"}
	if err := w.Wait(t.Context(), time.Minute, false); err != nil {
		t.Errorf("complete: %v", err)
	}
	err := w.Wait(t.Context(), 0, true)
	if !IsNotReady(err) || !strings.Contains(err.Error(), "2 of 2 replicas are new, 2 available, 3 pods in all") {
		t.Errorf("an old pod is left: %v", err)
	}
	if err := api.CoreV1().Pods("n").Delete(t.Context(), "old", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(t.Context(), time.Minute, true); err != nil {
		t.Errorf("settled: %v", err)
	}
	cause := errors.New("the load ended")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	d.Status.AvailableReplicas = 0
	if _, err := api.AppsV1().Deployments("n").Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := w.Wait(ctx, time.Minute, false); !errors.Is(err, cause) {
		t.Errorf("the end of the context: %v", err)
	}
}
