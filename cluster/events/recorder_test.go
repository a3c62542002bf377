package events

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// However much happens while the API server accepts nothing, nobody waits and the queue
// does not grow.
func TestEventsAreBounded(t *testing.T) {
	r := NewRecorder(nil, func() corev1.ObjectReference { return corev1.ObjectReference{} }, Options{})
	for range 10_000 {
		r.Post(About{Reason: "Again"}, "again")
	}
	if n := len(r.queue); n != maxQueue {
		t.Errorf("%d Events wait", n)
	}
	if maxQueue >= burst {
		t.Error("when all that wait are sent, nothing is left for what happens next")
	}
}

func TestCut(t *testing.T) {
	for _, c := range [][2]string{{"short", "short"}, {"0123456789", "0123456789"}, {"0123456789a", "0123456..."}, {"012345ä789a", "012345..."}} {
		if got := Cut(c[0], 10); got != c[1] {
			t.Errorf("%q becomes %q, not %q", c[0], got, c[1])
		}
	}
}
