package observe

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// If no path is asked on the port that serves the traffic, connections show whether the
// pod takes them; otherwise there are none.
func TestConnectionsWithoutPaths(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // closed below, too
	port := l.Addr().(*net.TCPAddr).Port
	for _, asked := range []bool{true, false} { // the listener is closed in the second
		life, cancel := context.WithCancel(t.Context())
		o := &Observer{life: life, cancel: cancel, opts: Options{Dial: new(net.Dialer).DialContext, Port: port}}
		if asked {
			o.opts.LivenessPath, o.opts.LivenessPort = "/", port
		}
		p := &pod{}
		p.IP = "127.0.0.1"
		seen := func(want func(record.Probe) bool) {
			t.Helper()
			for end := time.Now().Add(testenv.Patience); ; time.Sleep(5 * time.Millisecond) {
				o.mu.Lock()
				found := slices.ContainsFunc(p.Probes, want)
				o.mu.Unlock()
				if found {
					return
				}
				if time.Now().After(end) {
					t.Fatalf("asked %v: not seen in %d probes", asked, len(p.Probes))
				}
			}
		}
		o.mu.Lock()
		o.startProbes(p)
		o.mu.Unlock()
		if asked {
			time.Sleep(3 * probeInterval)
			o.Stop()
			if slices.ContainsFunc(p.Probes, func(q record.Probe) bool { return q.Kind == record.Connection }) {
				t.Error("connections are made beside requests to the same port")
			}
			continue
		}
		seen(func(q record.Probe) bool { return q.Kind == record.Connection && q.Answered() })
		_ = l.Close()
		seen(func(q record.Probe) bool { return q.Kind == record.Connection && q.Refused && !q.Answered() })
		o.Stop()
	}
}
