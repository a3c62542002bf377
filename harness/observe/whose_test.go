package observe

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"kubernaut.io/dynamic-toolset/harness/record"
)

// An endpoint without a condition is ready (discovery/v1, EndpointConditions).
func TestReadyAddresses(t *testing.T) {
	yes, no := true, false
	got := readyAddresses(&discoveryv1.EndpointSlice{Endpoints: []discoveryv1.Endpoint{
		{Addresses: []string{"a"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}},
		{Addresses: []string{"b"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}},
		{Addresses: []string{"c", "d"}},
	}})
	if !slices.Equal(got, []string{"a", "c", "d"}) {
		t.Errorf("%q", got)
	}
}

// The kubelet says Killing, too, when it restarts a container that fails its probes: that
// is not the end of the pod. Of those that follow its deletion, the first counts.
func TestKilling(t *testing.T) {
	killing := &corev1.Event{ObjectMeta: metav1.ObjectMeta{UID: "e"}, InvolvedObject: corev1.ObjectReference{UID: "1"}, Reason: "Killing"}
	o := &Observer{pods: map[string]*pod{"1": {Pod: record.Pod{Name: "a"}, uid: "1"}}}
	o.podKilled(killing)
	if at := o.pods["1"].Killing; !at.IsZero() {
		t.Errorf("a pod that is not deleted was killed at %v", at)
	}
	o.pods["1"].Deleted = time.Now()
	o.podKilled(killing)
	first := o.pods["1"].Killing
	o.podKilled(killing)
	if at := o.pods["1"].Killing; first.IsZero() || !at.Equal(first) {
		t.Errorf("killed at %v, and then at %v", first, at)
	}
}
