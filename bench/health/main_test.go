package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kubernaut.io/dynamic-toolset/bench/internal/backends"
	"kubernaut.io/dynamic-toolset/internal/testenv"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == backends.Command {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// The figures themselves are not tested, since the machine may be busy. Only whether each
// healthy endpoint is checked is, on a machine that is not busy.
func TestASmallRunReports(t *testing.T) {
	var r result
	err := testenv.Measure(t, "whether the ends that are well are checked in time", func() (bool, error) {
		file := filepath.Join(t.TempDir(), "result.json")
		if code := run([]string{
			"--endpoints=200", "--interval=1s", "--timeout=300ms", "--slow-after=100ms", "--warm-up=2s", "--duration=2s",
			"--slow=5", "--hang=10", "--no-targets", "--json=" + file,
		}); code != 0 {
			return false, fmt.Errorf("exit code %d", code)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return false, err
		}
		r = result{}
		if err := json.Unmarshal(b, &r); err != nil {
			return false, err
		}
		for _, m := range r.Measurements {
			if m.Checked != m.Well {
				return true, fmt.Errorf("%d of %d were checked: %+v", m.Checked, m.Well, m)
			}
		}
		if r.Identification.Wrong > 0 {
			return true, fmt.Errorf("%d that are well were not verified", r.Identification.Wrong)
		}
		return false, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Measurements) != 2 {
		t.Fatalf("%d measurements", len(r.Measurements))
	}
	good, bad := r.Measurements[0], r.Measurements[1]
	if good.Well != 200 || bad.Hang < 15 || bad.Hang > 25 || bad.Slow < 5 || bad.Slow > 15 || bad.Well+bad.Hang+bad.Slow != 200 {
		t.Errorf("%+v\n%+v", good, bad)
	}
	if id := r.Identification; id.Well != bad.Well || id.Sent < 3*id.Well || id.Took <= 0 || id.All < id.Took || id.CPU <= 0 {
		t.Errorf("%+v", id)
	}
	if bad.UnderWay == 0 || bad.Files == 0 || len(bad.Steady) == 0 || bad.CPU == 0 {
		t.Errorf("%+v", bad)
	}
	var table bytes.Buffer
	r.Print(&table)
	if !strings.Contains(table.String(), "200, 0, 0") {
		t.Errorf("%s", table.String())
	}
}

func TestWhatIsOverTheBudgetIsSaid(t *testing.T) {
	r := result{Concurrency: 10, MaxIdle: 10, Measurements: []Measurement{{Well: 5, Checked: 5, UnderWay: 10, Files: 20, CPU: 0.1, PeakMB: 50}}}
	if r.Missed() {
		t.Errorf("%+v", r.checks())
	}
	for name, change := range map[string]func(m *Measurement){
		"under way": func(m *Measurement) { m.UnderWay = 11 },
		"files":     func(m *Measurement) { m.Files = 20 + otherFiles + 1 },
		"checked":   func(m *Measurement) { m.Checked = 4 },
		"wrong":     func(m *Measurement) { m.Wrong = 1 },
		"CPU":       func(m *Measurement) { m.CPU = budgetCores + 0.01 },
		"memory":    func(m *Measurement) { m.PeakMB = budgetMB + 1 },
	} {
		over := result{Concurrency: 10, MaxIdle: 10, Measurements: []Measurement{r.Measurements[0]}}
		change(&over.Measurements[0])
		if !over.Missed() {
			t.Errorf("%s over the budget is not seen", name)
		}
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{
		{"extra"}, {"--endpoints=0"}, {"--hang=60", "--slow=50"}, {"--duration=1s"}, {"--nonsense"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
