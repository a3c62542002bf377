package monitoringtest

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// DynamicToolsetSlowDrain can see a drain: the metrics are still served, the replica is
// not ready, and the request that the drain waits for is counted.
func TestDrainIsVisible(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it starts the service")
	}
	r := startReplica(t, "--shutdown-propagation-delay", "200ms", "--shutdown-drain-timeout", "1m", "--read-timeout", "1m")
	c, err := net.DialTimeout("tcp", r.api, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // it may be closed
	if _, err := fmt.Fprintf(c, "POST /api/v1/toolsets/validate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	value := func(text, metric string) float64 {
		m := regexp.MustCompile(`(?m)^` + metric + ` (\S+)$`).FindStringSubmatch(text)
		if m == nil {
			return -1
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Errorf("%s: %v", metric, err)
		}
		return v
	}
	eventually(t, "the request that does not end is in flight", func() bool {
		text, err := r.scrape()
		return err == nil && value(text, "toolset_ready") == 1 && value(text, "toolset_in_flight_requests") == 1
	})
	if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The propagation delay is over when the port of the API is closed.
	eventually(t, "the drain has begun, and shows", func() bool {
		probe, err := net.DialTimeout("tcp", r.api, 100*time.Millisecond)
		if err == nil {
			probe.Close() //nolint:errcheck // it was only a probe
			return false
		}
		text, err := r.scrape()
		if err != nil {
			t.Fatal("the metrics end before the drain does:", err)
		}
		return value(text, "toolset_ready") == 0 && value(text, "toolset_in_flight_requests") == 1 &&
			value(text, "toolset_kubernetes_unreachable_seconds") == 0 && value(text, "toolset_snapshot_age_seconds") > 0
	})
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-r.ended:
		if err != nil {
			t.Errorf("the drain has nothing left to wait for, but the service ended with %v", err)
		}
	case <-time.After(testenv.Patience):
		t.Error("the drain did not end with the request")
	}
}
