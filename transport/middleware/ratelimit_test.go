package middleware

import (
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kubernaut.io/dynamic-toolset/auth"
)

// After a pause a burst may come at once; then the rate applies.
func TestLimiterKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(RateLimit{PerSecond: 100, Burst: 150})
		c := client{user: "jane"}
		count := func() (n int) {
			for l.take(c) == 0 {
				n++
			}
			return n
		}
		if n := count(); n != 150 {
			t.Errorf("%d came at once, want 150", n)
		}
		if wait := l.take(c); wait != 10*time.Millisecond {
			t.Errorf("the next has to wait for %s, want 10ms", wait)
		}
		total := 0
		for range 300 { // 3 s
			time.Sleep(10 * time.Millisecond)
			total += count()
		}
		if total != 300 {
			t.Errorf("%d in 3 s, want 300", total)
		}
		if n := (client{user: "john"}); l.take(n) != 0 {
			t.Error("one client's requests count for another")
		}
		if n := l.active(); n != 2 {
			t.Errorf("%d clients are active, want 2", n)
		}
		time.Sleep(1500 * time.Millisecond)
		if n := l.active(); n != 0 {
			t.Errorf("%d clients are active after a pause", n)
		}
		if n := count(); n != 150 {
			t.Errorf("%d came after a pause, want 150", n)
		}
		time.Sleep(time.Hour)
		if n := count(); n != 150 {
			t.Errorf("%d came after a long pause, want 150", n)
		}
	})
}

// However many clients ask at once, no more pass than are allowed.
func TestLimiterIsExactUnderConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(RateLimit{PerSecond: 10, Burst: 1000})
		var mu sync.Mutex
		var wg sync.WaitGroup
		passed := 0
		for range 8 {
			wg.Go(func() {
				n := 0
				for range 500 {
					if l.take(client{user: "jane"}) == 0 {
						n++
					}
				}
				mu.Lock()
				passed += n
				mu.Unlock()
			})
		}
		wg.Wait()
		if passed != 1000 {
			t.Errorf("%d passed, want 1000", passed)
		}
	})
}

func TestLimiterDefaults(t *testing.T) {
	if newLimiter(RateLimit{}) != nil {
		t.Error("a limit without a rate")
	}
	l := newLimiter(RateLimit{PerSecond: 5})
	if l.depth != int64(time.Second) {
		t.Errorf("the burst is of %d ns, want that of a second", l.depth)
	}
}

// The number of remembered clients is bounded, and those over their limit are not
// forgotten first.
func TestLimiterForgetsTheQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(RateLimit{PerSecond: 1, Burst: 10})
		loud := client{user: "loud"}
		for l.take(loud) == 0 {
		}
		for i := range 4 * limitedClients {
			l.take(client{addr: [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1}})
		}
		if l.take(loud) == 0 {
			t.Error("a client over its limit was forgotten for quiet ones")
		}
		if n := l.active(); n > limitedClients {
			t.Errorf("%d clients are remembered", n)
		}
	})
}

func TestClientOf(t *testing.T) {
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 1} }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "::ffff:10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:2", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		if got := clientOf(nil, tcp(c.a)) == clientOf(nil, tcp(c.b)); got != c.same {
			t.Errorf("%s and %s are the same client: %v", c.a, c.b, got)
		}
	}
	v4 := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1).To4()}
	if clientOf(nil, v4) != clientOf(nil, tcp("10.0.0.1")) {
		t.Error("an address in 4 bytes is another client than in 16")
	}
	jane := &auth.Identity{Name: "jane"}
	if clientOf(jane, tcp("10.0.0.1")) != clientOf(jane, tcp("10.0.0.2")) || clientOf(jane, v4) == clientOf(nil, v4) {
		t.Error("a user is not the same client everywhere")
	}
	if clientOf(nil, &net.UnixAddr{Name: "x"}) != (client{}) {
		t.Error("an address of another kind")
	}
}
