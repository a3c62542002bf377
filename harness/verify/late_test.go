package verify_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/harness/cause"
	"kubernaut.io/dynamic-toolset/harness/defects"
	"kubernaut.io/dynamic-toolset/harness/driver"
	"kubernaut.io/dynamic-toolset/harness/record"
	"kubernaut.io/dynamic-toolset/harness/scenario"
	"kubernaut.io/dynamic-toolset/harness/verdict"
	"kubernaut.io/dynamic-toolset/harness/verify"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

// Where nodes learn of an endpoint's end as much as 14 s late, the 5 s for which a right
// server goes on by default are not enough, and requests are lost. The report names a time
// that is: with it, nothing is lost.
func TestLateNodes(t *testing.T) {
	t.Parallel()
	aCluster(t) // builds the programs
	const late = 14 * time.Second
	own, err := driver.Open(t.Context(), driver.Options{Name: driver.Sim, Progress: os.Stderr, ProxySync: late})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Close(); err != nil {
			t.Errorf("the cluster left something behind: %v", err)
		}
	})
	if err := own.LoadImage(t.Context(), shared.subject.Image()); err != nil {
		t.Fatal(err)
	}
	try := 0
	run := func(what string, wait time.Duration) (*record.Run, error) {
		// A node that is late sends to pods that are gone and to none that is new, so the
		// run goes on until it has learnt of the last one.
		o := subject(t, defects.Deployment{
			Namespace: fmt.Sprintf("late-%s-%d", what, try), Grace: 90, Args: []string{"--propagation-delay=" + wait.String()},
		})
		var err error
		if o.Steps, err = scenario.Parse("pod-deletion", 1); err != nil {
			return nil, err
		}
		o.Scenario, o.Traffic.StreamPath, o.Traffic.SlowFor = "pod-deletion", "", 3*time.Second
		return verify.Run(t.Context(), own, o)
	}
	err = testenv.Measure(t, "whether the time that is recommended is long enough", func() (excused bool, err error) {
		// How late the node is depends on when its rules last changed: at most the bound, less what
		// has passed since then, which is about 4 s on a quiet machine.
		var short *record.Run
		var p *record.Propagation
		for chance := 0; p == nil || p.AfterDeletion < 6*time.Second; chance++ {
			if chance == 6 {
				return true, fmt.Errorf("the node was never late, last by %+v", p)
			}
			try++
			if short, err = run("short", 5*time.Second); err != nil {
				return true, err
			}
			p = short.Propagation
			t.Logf("5 s: %+v", p)
		}
		lost := 0
		for i := range short.Requests {
			if short.Requests[i].Failed() {
				lost++
			}
		}
		t.Logf("5 s: %d lost, %+v, recommended: %s", lost, *p, p.Wait())
		if lost == 0 || short.Passed() {
			return false, fmt.Errorf("%d lost, passed: %v, though the node was %s late", lost, short.Passed(), p.AfterDeletion)
		}
		if !slices.ContainsFunc(short.Notes, func(n string) bool { return strings.Contains(n, "at least "+p.Wait().String()) }) {
			return false, fmt.Errorf("%s is not recommended: %q", p.Wait(), short.Notes)
		}
		long, err := run("long", p.Wait())
		if err != nil {
			return true, err
		}
		t.Logf("%s: %+v", p.Wait(), *long.Propagation)
		if p.Wait() < late || !long.Passed() {
			// A probe may be late as well, so that readiness was not seen to be 503.
			byTime := func(id string) bool { return id == verdict.LoadID || id == verdict.ReadinessID }
			return slices.ContainsFunc(defects.Failed(long), byTime), fmt.Errorf("with the recommended %s, at rules every %s: failed %v", p.Wait(), late, defects.Failed(long))
		}
		return false, nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A spot node gives 15 s. A right server, which goes on for 5 s, has 10 s for what is in
// flight: requests of 8 s are answered, of 20 s are not, and the report says how long they
// may take.
func TestSpotNode(t *testing.T) {
	t.Parallel()
	c := aCluster(t)
	run := func(namespace string, longest time.Duration) (*record.Run, error) {
		o := subject(t, defects.Deployment{Namespace: namespace, Grace: 60})
		var err error
		if o.Steps, err = scenario.Parse("spot-node", 1); err != nil {
			return nil, err
		}
		o.Scenario, o.GraceCap, o.Traffic.SlowFor = "spot-node", 15*time.Second, longest
		return verify.Run(t.Context(), c, o)
	}
	testSpot(t, run)
}

func testSpot(t *testing.T, run func(string, time.Duration) (*record.Run, error)) {
	t.Helper()
	try := 0
	err := testenv.Measure(t, "whether 15 s are enough", func() (excused bool, err error) {
		try++
		short, err := run(fmt.Sprintf("spot-short-%d", try), 8*time.Second)
		if err != nil {
			return true, err
		}
		var errs []error
		if failed := defects.Failed(short); len(failed) > 0 {
			errs = append(errs, fmt.Errorf("requests of 8 s: failed %v", failed))
		}
		for i := range short.Pods {
			if p := &short.Pods[i]; !p.Deleted.IsZero() && p.Grace != 15*time.Second {
				errs = append(errs, fmt.Errorf("the pod %s had a grace period of %s", p.Name, p.Grace))
			}
		}
		// Whether a request that takes so long is under way at the pod that ends is chance.
		var long *record.Run
		for chance := 1; chance <= 4 && (long == nil || long.Passed()); chance++ {
			if long, err = run(fmt.Sprintf("spot-long-%d-%d", try, chance), 20*time.Second); err != nil {
				return true, err
			}
		}
		named := slices.ContainsFunc(long.Causes, func(c record.Cause) bool {
			return c.ID == cause.GraceTooShort && c.Lost > 0 && strings.Contains(c.Title, "15.0 s") &&
				(strings.Contains(c.InServer, "bound requests to 8.0 s") || strings.Contains(c.InServer, "bound requests to 9.0 s"))
		})
		if long.Passed() || !named {
			errs = append(errs, fmt.Errorf("requests of 20 s: passed %v, causes %+v", long.Passed(), long.Causes))
		}
		late := slices.Contains(append(defects.Failed(short), defects.Failed(long)...), verdict.LoadID)
		return late, errors.Join(errs...)
	})
	if err != nil {
		t.Error(err)
	}
}
