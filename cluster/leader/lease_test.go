package leader

import (
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
)

func leaseOf(holder string, seconds int32) *coordinationv1.Lease {
	return &coordinationv1.Lease{Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds}}
}

// When the Lease may be taken, relative to the time at which it was seen.
func TestLeaseDue(t *testing.T) {
	at := time.Now()
	const delay, normal = 70 * time.Millisecond, 15 * time.Second
	for _, c := range []struct {
		name  string
		lease *coordinationv1.Lease
		after time.Duration
		held  bool
	}{
		{"none", nil, delay, false},
		{"released", leaseOf("", 1), delay, false},
		{"without a holder", &coordinationv1.Lease{}, delay, false},
		{"somebody's", leaseOf("other", 30), 30*time.Second + delay, true},
		{"somebody's, for no time that it says", leaseOf("other", 0), normal + delay, true},
		{"ours", leaseOf("ours", 15), 0, true},
	} {
		o := observation{known: true, lease: c.lease, at: at, delay: delay}
		if got := o.due("ours", normal).Sub(at); got != c.after {
			t.Errorf("%s: due after %v, want %v", c.name, got, c.after)
		}
		if got := o.held(at, normal); got != c.held {
			t.Errorf("%s: held %t", c.name, got)
		}
		if o.held(at.Add(time.Hour), normal) {
			t.Errorf("%s: held for ever", c.name)
		}
	}
}

// An older version is ignored, except from a list during which nothing else was seen.
func TestLeaseObservations(t *testing.T) {
	l := New(nil, "ns", "name", "me", Options{})
	see := func(holder, rv string, count int) { l.observe(leaseOf(holder, 15), rv, count) }
	want := func(holder string) {
		t.Helper()
		if got := l.Holder(); got != holder {
			t.Errorf("held by %q, want %q", got, holder)
		}
	}
	see("a", "10", -1)
	see("b", "9", -1)
	want("a")
	at := l.lastSeen().at
	see("a", "10", l.lastSeen().count)
	if l.lastSeen().at != at {
		t.Error("the same version again puts its end off")
	}
	begun := l.lastSeen().count
	see("c", "11", -1)
	see("d", "8", begun) // a list that began before c was seen
	want("c")
	see("d", "8", l.lastSeen().count) // etcd was restored from a backup
	want("d")
	l.observe(nil, "12", -1)
	want("")
}

// A term ends by the clock that has advanced further, of the two.
func TestTermIsCertain(t *testing.T) {
	l := New(nil, "ns", "name", "me", Options{})
	if _, ok := l.Fence(); ok {
		t.Error("the fence is open before there is a term")
	}
	for _, c := range []struct {
		ago    time.Duration
		wall   bool // only the wall clock advances, as after a suspension
		want   bool
		reason string
	}{
		{0, false, true, "just now"},
		{RenewDeadline - time.Second, false, true, "in time"},
		{RenewDeadline, false, false, "too long ago"},
		{RenewDeadline, true, false, "too long ago, most of it suspended"},
		{-time.Hour, true, true, "the wall clock was set back"},
	} {
		renewed := time.Now().Add(-c.ago)
		if c.wall {
			renewed = renewed.Round(0)
		}
		l.term.Store(&term{"token", renewed})
		if token, ok := l.Fence(); ok != c.want || ok != (token == "token") {
			t.Errorf("%s: %q, %t", c.reason, token, ok)
		}
	}
}

func TestIdentity(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := Identity()
		host, random, ok := strings.Cut(id, "_")
		if !ok || host == "" || len(random) != 12 || seen[id] {
			t.Fatalf("identity %q", id)
		}
		seen[id] = true
	}
}

// What clients are told while nobody leads.
func TestVacant(t *testing.T) {
	l := New(nil, "ns", "name", "me", Options{})
	want := func(text string) {
		t.Helper()
		err := l.Vacant()
		if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%v, want %q", err, text)
		}
		if public, ok := err.(interface{ Public() string }); err != nil && (!ok || !strings.Contains(public.Public(), "ns/name")) {
			t.Errorf("not for clients: %v", err)
		}
	}
	want("has not been read")
	l.observe(nil, "1", -1)
	want("one takes it in a moment")
	l.note(&l.watchErr, fmt.Errorf("something with an address"))
	want("the Kubernetes API can't be used")
	l.observe(leaseOf("other", 15), "2", -1)
	want("")
	l.seen.at = l.seen.at.Add(-16 * time.Second)
	want("the Kubernetes API can't be used")
}
