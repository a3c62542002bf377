package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
	"kubernaut.io/dynamic-toolset/bench/internal/stats"
	"kubernaut.io/dynamic-toolset/harness/sim"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == backends.Command {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// A small run, with a real API server and the real service. The figures themselves are not
// tested, since the machine may be busy.
func TestASmallRunReports(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	if _, err := sim.Build(context.Background(), os.Stderr); errors.Is(err, sim.ErrUnavailable) {
		testenv.Missing(t, "the simulated cluster's binary ("+err.Error()+")",
			"Build it once where the Go module proxy can be reached, with: go run ./harness/sim/cmd/simcluster build")
	}
	file := filepath.Join(t.TempDir(), "result.json")
	if code := run([]string{
		"--services=1200", "--duration=3s", "--rate=50", "--settle=3s", "--idle=1s", "--starts=2", "--rounds=1", "--round=500ms",
		"--workload-evidence", "--no-targets", "--json=" + file,
	}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Toolsets int                    `json:"toolsets"`
		Ready    []float64              `json:"ready_seconds"`
		Evidence []float64              `json:"evidence_seconds"`
		Memory   struct{ Peak float64 } `json:"memory_mb"`
		Changes  struct {
			Changes int
			Never   int                                `json:"never_visible"`
			Name    struct{ Count int }                `json:"visible_by_name"`
			List    struct{ Count int }                `json:"visible_in_list"`
			Stream  struct{ Count int }                `json:"visible_as_event"`
			Kinds   map[changeKind]struct{ Count int } `json:"by_kind"`
		}
		Lookups []struct {
			What string
			All  struct {
				PerSecond float64 `json:"per_second"`
			}
		}
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	c := r.Changes
	if r.Toolsets != 120 || len(r.Ready) != 2 || r.Memory.Peak == 0 || len(r.Lookups) != 2 {
		t.Errorf("%s", b)
	}
	// All images are known, and not before the service is ready.
	for i, d := range r.Evidence {
		if len(r.Evidence) != 2 || d < r.Ready[i] {
			t.Errorf("%s", b)
		}
	}
	if len(r.Evidence) == 0 || c.Kinds[reimage].Count == 0 {
		t.Errorf("no images: %s", b)
	}
	// A change of a label is visible in a list only, any other by name and as an event.
	if c.Never != 0 || c.Changes == 0 || c.Name.Count == 0 || c.Name.Count != c.Stream.Count || c.List.Count < c.Changes-c.Name.Count {
		t.Errorf("%s", b)
	}
	for _, l := range r.Lookups {
		if l.All.PerSecond == 0 {
			t.Errorf("no lookups %s", l.What)
		}
	}
}

func TestMissedTargetsAreSeen(t *testing.T) {
	good := func() *result {
		return &result{
			Targets: targets{Ready: 10 * time.Second, MemoryMB: 600, Visible: 50 * time.Millisecond},
			Ready:   []float64{3, 9.9}, Memory: Memory{PeakMB: 599},
			Churn: &Churn{Name: stats.Summary{P99: 49 * time.Millisecond}},
		}
	}
	if good().Missed() {
		t.Errorf("%+v", good().checks())
	}
	for name, change := range map[string]func(r *result){
		"one slow start": func(r *result) { r.Ready[0] = 10.1 },
		"memory":         func(r *result) { r.Memory.PeakMB = 601 },
		"by name":        func(r *result) { r.Churn.Name.P99 = 51 * time.Millisecond },
		"in a list":      func(r *result) { r.Churn.List.P99 = 51 * time.Millisecond },
		"as an event":    func(r *result) { r.Churn.Stream.P99 = 51 * time.Millisecond },
		"never":          func(r *result) { r.Churn.NeverHad = 1 },
		"failed lookups": func(r *result) { r.Churn.Failed = 1 },
	} {
		r := good()
		change(r)
		if !r.Missed() {
			t.Errorf("%s: not seen", name)
		}
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{{"extra"}, {"--services=10"}, {"--rate=0"}, {"--starts=0"}, {"--nonsense"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
