package ports

import (
	"testing"
	"time"
)

func TestAPortRests(t *testing.T) {
	now := time.Unix(1000, 0)
	p := New(65533, 65535)
	p.now = func() time.Time { return now }
	const rest = 10 * time.Second
	seen := map[uint16]bool{}
	var order []uint16
	for range 3 {
		n, ok := p.Take(rest)
		if !ok || n < 65533 || seen[n] {
			t.Fatalf("%d, %v after %v", n, ok, order)
		}
		seen[n] = true
		order = append(order, n)
	}
	if n, ok := p.Take(rest); ok {
		t.Errorf("%d is in use", n)
	}
	p.Release(order[1])
	now = now.Add(time.Second)
	p.Release(order[0])
	now = now.Add(rest - time.Second - 1)
	if n, ok := p.Take(rest); ok {
		t.Errorf("%d has not rested", n)
	}
	now = now.Add(1)
	if n, ok := p.Take(rest); !ok || n != order[1] {
		t.Errorf("%d, %v, not %d, which has rested longest", n, ok, order[1])
	}
	if n, ok := p.Take(rest); ok {
		t.Errorf("%d was given back a second later", n)
	}
	if n, ok := p.Take(time.Second); !ok || n != order[0] {
		t.Errorf("%d, %v, not %d", n, ok, order[0])
	}
}
