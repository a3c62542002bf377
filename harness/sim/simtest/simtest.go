// Package simtest starts simulated control planes and clusters in tests.
package simtest

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// beforeDeadline is how long before go test's own timeout a compile is given up, so
// that the test fails with a message instead of the stack of every goroutine.
const beforeDeadline = 20 * time.Second

// howToBuild says how to get the binary on a host that can't build it.
const howToBuild = "Build it once where the Go module proxy can be reached, with: go run ./harness/sim/cmd/simcluster build"

// Binary returns the path of the binary that contains Kubernetes, for tests that start
// it themselves with [sim.WithBinary]. If it can't be built, it ends the test with
// [testenv.Missing].
func Binary(t testing.TB) string {
	t.Helper()
	ctx := context.Background()
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if deadline, ok := d.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline.Add(-beforeDeadline))
			defer cancel()
		}
	}
	path, err := sim.Build(ctx, os.Stderr)
	if errors.Is(err, sim.ErrUnavailable) {
		testenv.Missing(t, "the simulated cluster's binary ("+err.Error()+")", howToBuild)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Start starts a control plane, which is stopped when the test ends. If its binary
// can't be built, it ends the test with [testenv.Missing]. If the test fails, its
// output has the end of the processes' logs.
//
// A test that only needs an API should share a control plane with its package, and have
// its own namespace: a control plane takes two seconds and 400 MB.
func Start(t testing.TB, opts ...sim.Option) *sim.ControlPlane {
	t.Helper()
	opts = append([]sim.Option{sim.WithBinary(Binary(t))}, opts...)
	cp, err := sim.StartControlPlane(context.Background(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	stopWithTest(t, cp)
	return cp
}

// StartCluster starts a cluster with nodes, which is stopped when the test ends. It is
// like [Start]. If this host can't run a cluster, it ends the test with
// [testenv.Missing].
//
// A test should share a cluster with its package, unless it needs its own: a cluster
// takes five seconds and 600 MB.
func StartCluster(t testing.TB, opts ...sim.Option) *sim.Cluster {
	t.Helper()
	opts = append([]sim.Option{sim.WithBinary(Binary(t))}, opts...)
	c, err := sim.StartCluster(context.Background(), opts...)
	if errors.Is(err, sim.ErrUnsupported) {
		testenv.Missing(t, "the simulated cluster", err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	stopWithTest(t, c)
	return c
}

// stopWithTest stops what a test has started when the test ends.
func stopWithTest(t testing.TB, started interface {
	LogTail() string
	Stop() error
}) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the simulated cluster's logs:\n%s", started.LogTail())
		}
		if err := started.Stop(); err != nil {
			t.Errorf("the simulated cluster left something behind: %v", err)
		}
	})
}
